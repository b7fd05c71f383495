//! The grammar of request targets, checked on the raw text before routing. So router, policy and ZEC can never read one
//! path differently (docs/threats.md, rows 4 and 5). A fragment (`#...`), which no request may have, never gets here,
//! because hyper cuts it off.

use http::Uri;

use crate::error::{Error, Problem};

/// The longest path and query together, in bytes: 50 addresses of 15 characters in the query take 1.5 KiB.
const MAX_TARGET: usize = 8 * 1024;

/// Accepts a request target that can be read in only one way.
///
/// # Errors
/// 400 for any other target, 414 for one that is too long.
pub fn check_target(uri: &Uri) -> Result<(), Error> {
    let Some(target) = uri.path_and_query() else {
        return Err(Error::invalid("the request target is not a path: send `/...`"));
    };
    if target.as_str().len() > MAX_TARGET {
        return Err(Error::new(
            Problem::UriTooLong,
            "path and query are longer than 8 KiB: put the addresses into a JSON body",
        ));
    }
    let path = target.path();
    if !path.starts_with('/') {
        return Err(Error::invalid("the request target is not a path: send `/...`"));
    }
    let refused = |byte: &u8| !byte.is_ascii_graphic() || matches!(byte, b'%' | b';' | b'\\');
    if let Some(byte) = path.bytes().find(|byte| refused(byte)) {
        let shown = char::from(byte).escape_default();
        return Err(Error::invalid(format!(
            "the path holds `{shown}`, which no path of the gateway has: write it without this character and without escapes"
        )));
    }
    if path.contains("//") || path.split('/').any(|segment| segment == "." || segment == "..") {
        return Err(Error::invalid(
            "the path holds an empty, `.` or `..` segment: leave that segment out",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(target: &str) -> u16 {
        check_target(&target.parse().unwrap()).map_or_else(|error| error.status(), |()| 200)
    }

    #[test]
    fn plain_paths_pass() {
        for target in ["/", "/nics/a-b_C/ipv4", "/nics/a?x=%41;..//", "http://h/nics/a", "/..a/.b."]
        {
            assert_eq!(status(target), 200, "{target}");
        }
    }

    #[test]
    fn paths_that_could_be_read_in_two_ways_are_refused() {
        for target in [
            "/nics/a%2Fb",
            "/nics/%61",
            "//nics/a",
            "/nics//a",
            "/nics/./a",
            "/nics/../a",
            "/..",
            "/nics/a/..",
            "/nics/a;b",
            "/nics/a\\b",
            "http://h//nics",
            "*",
            "host:80",
        ] {
            assert_eq!(status(target), 400, "{target}");
        }
        let latin = Uri::try_from("/nics/\u{e9}".as_bytes());
        assert!(latin.map_or(true, |uri| check_target(&uri).is_err()));
    }

    #[test]
    fn long_targets_are_414() {
        assert_eq!(status(&format!("/nics/a?x={}", "y".repeat(MAX_TARGET))), 414);
    }
}
