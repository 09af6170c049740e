//! The body that COPY and MOVE had in RFC 2518 (section 12.12), and old clients still send.

use super::xml::{XmlDocument, XmlEvent, XmlText};
use crate::model::{Error, Result};

/// Reads the body of a COPY or MOVE of RFC 2518 (sections 12.12, 8.8.3): which live properties shall stay live. All that there are do,
/// so that every wish is met. `UnexpectedBody` for what is no `propertybehavior`.
pub fn parse_propertybehavior(body: &[u8]) -> Result<()> {
    let Ok(text) = XmlText::decode(body) else {
        return Err(Error::UnexpectedBody);
    };
    let mut document = XmlDocument::new(&text).map_err(|_| Error::UnexpectedBody)?;
    if !document
        .root()
        .is_ok_and(|root| root.is_dav("propertybehavior"))
    {
        return Err(Error::UnexpectedBody);
    }
    let mut wishes = 0;
    while let Some(name) = document.child()? {
        if name.is_dav("keepalive") {
            check_keepalive(&mut document)?;
        } else {
            document.skip()?;
        }
        wishes += usize::from(name.is_dav("keepalive") || name.is_dav("omit"));
    }
    document.finish()?;
    if wishes == 1 {
        Ok(())
    } else {
        Err(Error::BadRequest(
            "A propertybehavior element has one of omit and keepalive.",
        ))
    }
}

/// Reads a `keepalive`: `*`, or the addresses of properties.
fn check_keepalive(document: &mut XmlDocument<'_>) -> Result<()> {
    let mut text = String::new();
    let mut hrefs = 0;
    loop {
        match document.next_piece()? {
            Some(XmlEvent::Text(more)) => text.push_str(&more),
            Some(XmlEvent::Open(name)) => {
                hrefs += usize::from(name.is_dav("href"));
                document.skip()?;
            }
            Some(XmlEvent::Close) | None => break,
        }
    }
    match (text.trim(), hrefs) {
        ("*", 0) | ("", 1..) => Ok(()),
        _ => Err(Error::BadRequest(
            "A keepalive element holds an asterisk, or href elements.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn propertybehavior_is_read_and_nothing_else() {
        let told = |inner: &str| {
            let body = format!(
                "<?xml version=\"1.0\"?><d:propertybehavior xmlns:d=\"DAV:\">{inner}</d:propertybehavior>"
            );
            parse_propertybehavior(body.as_bytes())
        };
        for good in [
            "<d:omit/>",
            "<d:keepalive>*</d:keepalive>",
            "\n <d:keepalive>\n * </d:keepalive>\n",
            "<d:keepalive><d:href>http://www.example.com/a</d:href> <d:href>DAV:getetag</d:href></d:keepalive>",
            "<x/><d:omit/>",
        ] {
            assert!(told(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "<d:omit/><d:omit/>",
            "<d:omit/><d:keepalive>*</d:keepalive>",
            "<d:keepalive/>",
            "<d:keepalive>all</d:keepalive>",
            "<d:keepalive>*<d:href>a</d:href></d:keepalive>",
            "<d:omit>",
            "<d:omit/></d:propertybehavior><x>",
        ] {
            assert!(matches!(told(bad), Err(Error::BadRequest(_))), "{bad}");
        }
        for other in [
            &b"x"[..],
            b" ",
            b"\xff",
            b"\0",
            b"<propertybehavior/>",
            b"<propfind xmlns='DAV:'><propname/></propfind>",
            b"<!DOCTYPE a><propertybehavior xmlns='DAV:'><omit/></propertybehavior>",
            b"<?xml version='1.0' encoding='utf-7'?><propertybehavior xmlns='DAV:'><omit/></propertybehavior>",
        ] {
            assert!(matches!(parse_propertybehavior(other), Err(Error::UnexpectedBody)), "{other:?}");
        }
    }
}
