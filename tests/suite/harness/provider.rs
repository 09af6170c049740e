//! A small OpenID Connect provider on loopback that can be told to lie: one client, one person, tokens signed with ES256.

use super::url;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use parking_lot::Mutex;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

pub const CLIENT: &str = "sarang";
pub const SECRET: &str = "kettle & teapot: 77%";

/// How an ID token is signed.
#[derive(Clone, Copy, Debug)]
pub enum Signed {
    /// With the key that the provider shows.
    Rightly,
    /// With another key under the same name.
    ByAnother,
    /// Not at all.
    NotAtAll,
    /// By HMAC with this text as the key.
    BySecret(&'static str),
}

type Lie = Box<dyn Fn(&mut Value) + Send>;

/// The running provider.
pub struct Provider {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    issuer: String,
    key: Mutex<u8>,
    signed: Mutex<Signed>,
    /// What it says of whoever signs in.
    person: Mutex<Value>,
    /// Whether it says so in the ID token, or only when asked for it.
    in_token: AtomicBool,
    lie: Mutex<Lie>,
    codes: Mutex<HashMap<String, HashMap<String, String>>>,
    asked: Mutex<Vec<String>>,
    over: AtomicBool,
}

impl Provider {
    pub fn start() -> Self {
        Self::at(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    /// The same provider again, after it was stopped.
    pub fn again(address: SocketAddr) -> Self {
        Self::at(TcpListener::bind(address).unwrap())
    }

    fn at(listener: TcpListener) -> Self {
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            issuer: format!("http://{address}"),
            key: Mutex::new(1),
            signed: Mutex::new(Signed::Rightly),
            person: Mutex::new(json!({"sub": "person-1"})),
            in_token: AtomicBool::new(true),
            lie: Mutex::new(Box::new(|_| {})),
            codes: Mutex::default(),
            asked: Mutex::default(),
            over: AtomicBool::new(false),
        });
        let serving = shared.clone();
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if serving.over.load(Ordering::SeqCst) {
                    return;
                }
                let _ = serving.answer(stream);
            }
        });
        Self {
            address,
            shared,
            thread: Some(thread),
        }
    }

    pub fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Who signs in from now on.
    pub fn person(&self, claims: Value) {
        *self.shared.person.lock() = claims;
    }

    /// Whether the ID token tells more than who it is.
    pub fn tell_in_token(&self, does: bool) {
        self.shared.in_token.store(does, Ordering::SeqCst);
    }

    /// What it says wrongly in ID tokens from now on.
    pub fn lie(&self, lie: impl Fn(&mut Value) + Send + 'static) {
        *self.shared.lie.lock() = Box::new(lie);
    }

    pub fn sign(&self, signed: Signed) {
        *self.shared.signed.lock() = signed;
    }

    /// Signs with a new key from now on, and shows only that.
    pub fn change_key(&self) {
        *self.shared.key.lock() += 1;
    }

    /// How often it was asked for a path.
    pub fn count(&self, path: &str) -> usize {
        self.shared
            .asked
            .lock()
            .iter()
            .filter(|asked| *asked == path)
            .count()
    }

    /// What its page does when somebody signs in there: the target that their browser is sent back to.
    pub fn authorize(&self, location: &str) -> String {
        let page = format!("{}/page?", self.issuer());
        let mut asked = pairs(
            location
                .strip_prefix(&page)
                .unwrap_or_else(|| panic!("{location} is not {page}")),
        );
        assert_eq!(
            (&*asked["response_type"], &*asked["client_id"]),
            ("code", CLIENT)
        );
        assert_eq!(asked["code_challenge_method"], "S256");
        assert!(asked["scope"].split(' ').any(|scope| scope == "openid"));
        assert!(
            asked["nonce"].len() >= 20
                && asked["state"].len() >= 20
                && asked["code_challenge"].len() == 43
        );
        let code = format!("code-{}", self.shared.codes.lock().len());
        let (state, back) = (
            asked.remove("state").unwrap(),
            asked["redirect_uri"].clone(),
        );
        self.shared.codes.lock().insert(code.clone(), asked);
        let path = back.strip_prefix("http://files.test").unwrap();
        format!(
            "{path}?code={code}&state={}&iss={}&session_state=x",
            url(&state),
            url(self.issuer())
        )
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Shared {
    fn answer(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        let (mut line, mut length, mut authorization) = (String::new(), 0, String::new());
        stream.read_line(&mut line)?;
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        loop {
            let mut header = String::new();
            stream.read_line(&mut header)?;
            let Some((name, value)) = header.trim().split_once(": ") else {
                break;
            };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().unwrap(),
                "authorization" => value.clone_into(&mut authorization),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        self.asked.lock().push(path.clone());
        let (status, answer) = match path.as_str() {
            "/.well-known/openid-configuration" => (200, self.discovery()),
            "/keys" => (200, json!({"keys": [self.public_key()]})),
            "/token" => self.token(&authorization, &pairs(std::str::from_utf8(&body).unwrap())),
            "/person" if authorization == "Bearer access" => (200, self.person.lock().clone()),
            _ => (404, Value::Null),
        };
        let answer = answer.to_string();
        write!(
            stream.get_mut(),
            "HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
            answer.len()
        )
    }

    fn discovery(&self) -> Value {
        let at = |path: &str| format!("{}{path}", self.issuer);
        json!({
            "issuer": self.issuer, "authorization_endpoint": at("/page"), "token_endpoint": at("/token"),
            "userinfo_endpoint": at("/person"), "jwks_uri": at("/keys"), "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256", "HS256", "none"],
        })
    }

    fn signing_key(&self) -> (SigningKey, String) {
        let number = *self.key.lock();
        (
            SigningKey::from_slice(&[number; 32]).unwrap(),
            format!("key-{number}"),
        )
    }

    fn public_key(&self) -> Value {
        let (key, id) = self.signing_key();
        let point = key.verifying_key().to_sec1_point(false);
        let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": id,
            "x": text(point.x().unwrap()), "y": text(point.y().unwrap())})
    }

    /// Exchanges a code: once, and only for who left with it.
    fn token(&self, authorization: &str, given: &HashMap<String, String>) -> (u16, Value) {
        let basic = |text: &str| text.bytes().map(encoded).collect::<String>();
        let expected = format!(
            "Basic {}",
            BASE64_STANDARD.encode(format!("{}:{}", basic(CLIENT), basic(SECRET)))
        );
        if authorization != expected {
            return (401, json!({"error": "invalid_client"}));
        }
        let Some(asked) = self
            .codes
            .lock()
            .insert(given["code"].clone(), HashMap::new())
            .filter(|a| !a.is_empty())
        else {
            return (400, json!({"error": "invalid_grant"}));
        };
        let challenge =
            BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(given["code_verifier"].as_bytes()));
        if challenge != asked["code_challenge"] || given["redirect_uri"] != asked["redirect_uri"] {
            return (400, json!({"error": "invalid_grant"}));
        }
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let mut claims = self.person.lock().clone();
        if !self.in_token.load(Ordering::SeqCst) {
            claims = json!({"sub": claims["sub"]});
        }
        for (name, value) in [
            ("iss", json!(self.issuer)),
            ("aud", json!(CLIENT)),
            ("nonce", json!(asked["nonce"])),
        ] {
            claims[name] = value;
        }
        (claims["iat"], claims["exp"]) = (json!(now), json!(now + 300));
        let hash = Sha256::digest(b"access");
        claims["at_hash"] = json!(BASE64_URL_SAFE_NO_PAD.encode(&hash[..16]));
        (self.lie.lock())(&mut claims);
        (
            200,
            json!({"access_token": "access", "token_type": "Bearer", "id_token": self.sign(&claims)}),
        )
    }

    fn sign(&self, claims: &Value) -> String {
        let (key, id) = self.signing_key();
        let signed = *self.signed.lock();
        let algorithm = match signed {
            Signed::Rightly | Signed::ByAnother => "ES256",
            Signed::NotAtAll => "none",
            Signed::BySecret(_) => "HS256",
        };
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!(
            "{}.{}",
            part(&json!({"alg": algorithm, "typ": "JWT", "kid": id})),
            part(claims)
        );
        let by = |key: &SigningKey| {
            let signature: Signature = key.sign(text.as_bytes());
            signature.to_bytes().to_vec()
        };
        let signature = match signed {
            Signed::Rightly => by(&key),
            Signed::ByAnother => by(&SigningKey::from_slice(&[99; 32]).unwrap()),
            Signed::NotAtAll => Vec::new(),
            Signed::BySecret(secret) => {
                let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
                mac.update(text.as_bytes());
                mac.finalize().into_bytes().to_vec()
            }
        };
        format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}

/// A byte as forms write it.
fn encoded(byte: u8) -> String {
    match byte {
        b' ' => "+".into(),
        b if b.is_ascii_alphanumeric() || b"*-._".contains(&b) => char::from(b).into(),
        b => format!("%{b:02X}"),
    }
}

/// The pairs of a query or form.
pub fn pairs(text: &str) -> HashMap<String, String> {
    let decoded = |text: &str| {
        percent_decode_str(&text.replace('+', " "))
            .decode_utf8()
            .unwrap()
            .into_owned()
    };
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(k, v)| (decoded(k), decoded(v)))
        .collect()
}
