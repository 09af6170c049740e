//! Requests to the provider: over TLS, bounded in time and size, and never redirected.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use std::pin::Pin;
use std::sync::OnceLock;
use std::time::Duration;

/// From the first byte out to the last byte in.
const PATIENCE: Duration = Duration::from_secs(10);
const MAX_ANSWER: usize = 256 << 10;

type Sender = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// The way to the provider.
#[derive(Debug)]
pub struct Transport {
    sender: OnceLock<Sender>,
    /// Whether the provider is on this machine and speaks plain HTTP.
    is_plain: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unanswered(String);

impl Transport {
    /// To a provider at this address.
    pub fn to(issuer: &str) -> Self {
        Self { sender: OnceLock::new(), is_plain: issuer.starts_with("http://") }
    }

    /// Whether an address that the provider named may be used: https, or http on loopback where the provider is there too.
    pub fn admits(&self, address: &str) -> bool {
        let Ok(uri) = address.parse::<http::Uri>() else { return false };
        let is_loopback = matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]"));
        match uri.scheme_str() {
            Some("https") => true,
            Some("http") => self.is_plain && is_loopback,
            _ => false,
        }
    }

    fn sender(&self) -> Result<&Sender, Unanswered> {
        if let Some(sender) = self.sender.get() {
            return Ok(sender);
        }
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()
            .map_err(|e| Unanswered(format!("the system has no certificates to trust: {e}")))?
            .https_or_http()
            .enable_http1()
            .build();
        let made = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Ok(self.sender.get_or_init(|| made))
    }

    async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, Unanswered> {
        let address = request.uri().to_string();
        if !self.admits(&address) {
            return Err(Unanswered(format!("{address} is neither https nor http on loopback")));
        }
        let exchange = async {
            let response = self.sender()?.request(request.map(|body| Full::new(Bytes::from(body)))).await;
            let (head, body) = response.map_err(|e| Unanswered(causes(&e)))?.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|e| Unanswered(causes(&*e)))?;
            Ok(HttpResponse::from_parts(head, body.to_bytes().to_vec()))
        };
        let late = |_| Err(Unanswered(format!("{address} did not answer in {} seconds", PATIENCE.as_secs())));
        tokio::time::timeout(PATIENCE, exchange).await.unwrap_or_else(late)
    }
}

impl<'c> AsyncHttpClient<'c> for Transport {
    type Error = Unanswered;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Unanswered>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.ask(request))
    }
}

/// An error with what is behind it.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_stays_on_this_machine() {
        let (far, near) = (Transport::to("https://id.example"), Transport::to("http://127.0.0.1:4"));
        assert!(far.admits("https://other.example/keys") && near.admits("https://other.example/keys"));
        assert!(near.admits("http://127.0.0.1:9/keys") && near.admits("http://[::1]:9/keys"));
        for (transport, address) in [
            (&far, "http://127.0.0.1:9/keys"),
            (&near, "http://id.example/keys"),
            (&near, "http://127.0.0.1.example/"),
            (&near, "file:///etc/passwd"),
            (&near, "/keys"),
        ] {
            assert!(!transport.admits(address), "{address}");
        }
    }
    /// What comes of a request to somebody who answers so.
    async fn ask(answer: String) -> Result<HttpResponse, Unanswered> {
        use std::io::{Read, Write};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1024]);
            // Who has read enough hangs up.
            let _ = stream.write_all(answer.as_bytes());
        });
        let request = http::Request::get(format!("{issuer}/keys")).body(Vec::new()).unwrap();
        let outcome = Transport::to(&issuer).ask(request).await;
        thread.join().unwrap();
        outcome
    }

    #[tokio::test]
    async fn answers_are_bounded_and_redirects_are_not_followed() {
        let moved = ask("HTTP/1.1 302 x\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n".into()).await.unwrap();
        assert_eq!(moved.status(), 302);
        let of = |length: usize| format!("HTTP/1.1 200 x\r\nContent-Length: {length}\r\n\r\n{}", "a".repeat(length));
        assert_eq!(ask(of(MAX_ANSWER)).await.unwrap().body().len(), MAX_ANSWER);
        assert!(ask(of(MAX_ANSWER + 1)).await.unwrap_err().to_string().contains("length limit"));
    }
}
