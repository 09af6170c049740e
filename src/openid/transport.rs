//! Requests to the provider: over TLS, but for one on this machine.

use crate::http_client::{HttpClient, RequestFailed};
use bytes::Bytes;
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use std::pin::Pin;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

/// The way to the provider.
#[derive(Debug)]
pub struct Transport {
    outgoing: HttpClient,
    /// Whether the provider is on this machine and speaks plain HTTP.
    is_plain: bool,
}

impl Transport {
    /// To a provider at this address.
    pub fn to(issuer: &str) -> Self {
        Self {
            outgoing: HttpClient::new(None, PATIENCE),
            is_plain: issuer.starts_with("http://"),
        }
    }

    /// Whether an address that the provider named may be used: https, or http on loopback where the provider is there too.
    pub fn admits(&self, address: &str) -> bool {
        let Ok(uri) = address.parse::<http::Uri>() else {
            return false;
        };
        let is_loopback = matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]"));
        match uri.scheme_str() {
            Some("https") => true,
            Some("http") => self.is_plain && is_loopback,
            _ => false,
        }
    }

    async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, RequestFailed> {
        let address = request.uri().to_string();
        if !self.admits(&address) {
            return Err(RequestFailed(format!(
                "{address} is neither https nor http on loopback"
            )));
        }
        Ok(self
            .outgoing
            .send(request.map(Bytes::from))
            .await?
            .map(|body| body.to_vec()))
    }
}

impl<'c> AsyncHttpClient<'c> for Transport {
    type Error = RequestFailed;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, RequestFailed>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.ask(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The most that an answer may hold.
    const MAX_ANSWER: usize = 256 << 10;

    #[test]
    fn plain_http_stays_on_this_machine() {
        let far = Transport::to("https://id.example");
        let near = Transport::to("http://127.0.0.1:4");
        assert!(
            far.admits("https://other.example/keys") && near.admits("https://other.example/keys")
        );
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
    async fn ask(answer: String) -> Result<HttpResponse, RequestFailed> {
        use std::io::{Read, Write};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1024]);
            // Who has read enough hangs up.
            let _ = stream.write_all(answer.as_bytes());
        });
        let request = http::Request::get(format!("{issuer}/keys"))
            .body(Vec::new())
            .unwrap();
        let outcome = Transport::to(&issuer).ask(request).await;
        thread.join().unwrap();
        outcome
    }

    #[tokio::test]
    async fn answers_are_bounded_and_redirects_are_not_followed() {
        let moved =
            ask("HTTP/1.1 302 x\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n".into())
                .await
                .unwrap();
        assert_eq!(moved.status(), 302);
        let of = |length: usize| {
            format!(
                "HTTP/1.1 200 x\r\nContent-Length: {length}\r\n\r\n{}",
                "a".repeat(length)
            )
        };
        assert_eq!(ask(of(MAX_ANSWER)).await.unwrap().body().len(), MAX_ANSWER);
        assert!(
            ask(of(MAX_ANSWER + 1))
                .await
                .unwrap_err()
                .to_string()
                .contains("length limit")
        );
    }
}
