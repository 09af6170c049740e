//! HTTP/2: who speaks it, that everything which holds for requests of HTTP/1.1 holds for its streams, and what becomes of frames that attack.

mod attacks;
mod frames;
mod streams;
