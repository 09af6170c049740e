//! The integration suite: one binary, real HTTP against the library server.
