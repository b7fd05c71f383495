//! Finds the end of a chunked body (RFC 9112, 7.1). Accepts only the one form that every party reads in the same way:
//! hexadecimal sizes, CRLF line ends, no extensions and no trailers.

/// How many digits a size may have: enough for far more than the largest allowed body.
const MAX_DIGITS: u8 = 7;

/// The state: what the next byte of a chunked body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunks {
    /// A digit of a size, or the end of its line.
    Size {
        size: u32,
        digits: u8,
    },
    /// The line feed after a size.
    SizeEnd(u32),
    /// One of this many remaining bytes of data.
    Data(u32),
    /// The carriage return after data, then the line feed.
    DataReturn,
    DataEnd,
    /// The same after the last chunk.
    LastReturn,
    LastEnd,
    /// Any byte, because the body was malformed.
    Broken,
}

/// What a piece of a chunked body holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A part of the body.
    More,
    /// The end of the body, before this index.
    End(usize),
    /// The byte at this index is not allowed there.
    Bad(usize),
}

impl Default for Chunks {
    fn default() -> Self {
        Self::Size { size: 0, digits: 0 }
    }
}

impl Chunks {
    /// Reads a piece. After the end of a body it is ready for another one.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Part {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            at += 1;
            *self = match (*self, *byte) {
                (Self::Broken, _) => return Part::More,
                (Self::Data(left), _) => {
                    let here = bytes.len() - (at - 1);
                    let taken = usize::try_from(left).map_or(here, |left| left.min(here));
                    at += taken - 1;
                    match left - u32::try_from(taken).unwrap_or(left) {
                        0 => Self::DataReturn,
                        left => Self::Data(left),
                    }
                }
                (Self::Size { size, digits }, digit)
                    if digit.is_ascii_hexdigit() && digits < MAX_DIGITS =>
                {
                    let value = char::from(digit).to_digit(16).unwrap_or_default();
                    Self::Size { size: size * 16 + value, digits: digits + 1 }
                }
                (Self::Size { size, digits: 1.. }, b'\r') => Self::SizeEnd(size),
                (Self::SizeEnd(0), b'\n') => Self::LastReturn,
                (Self::SizeEnd(size), b'\n') => Self::Data(size),
                (Self::DataReturn, b'\r') => Self::DataEnd,
                (Self::DataEnd, b'\n') => Self::default(),
                (Self::LastReturn, b'\r') => Self::LastEnd,
                (Self::LastEnd, b'\n') => {
                    *self = Self::default();
                    return Part::End(at);
                }
                _ => {
                    *self = Self::Broken;
                    return Part::Bad(at - 1);
                }
            };
        }
        Part::More
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunked_body_ends_where_it_says_however_it_is_cut() {
        for body in ["0\r\n\r\n", "00\r\n\r\n", "1\r\na\r\n0F\r\n0\r\n\r\n3456789abc\r\n0\r\n\r\n"]
        {
            let whole = format!("{body}GET / HTTP/1.1\r\n");
            for piece in 1..whole.len() {
                let (mut chunks, mut before) = (Chunks::default(), 0);
                let end = whole.as_bytes().chunks(piece).find_map(|part| {
                    let read = chunks.read(part);
                    before += part.len();
                    match read {
                        Part::More => None,
                        Part::End(at) => Some(before - part.len() + at),
                        Part::Bad(at) => panic!("{body:?} is bad at {at}"),
                    }
                });
                assert_eq!(end, Some(body.len()), "{body:?} in pieces of {piece}");
                assert_eq!(chunks, Chunks::default());
            }
        }
    }

    #[test]
    fn every_other_form_is_bad_where_it_first_differs() {
        for (body, at) in [
            ("\r\n", 0),
            ("\n", 0),
            (" 1\r\n", 0),
            ("+1\r\n", 0),
            ("-1\r\n", 0),
            ("0x1\r\n", 1),
            ("g\r\n", 0),
            ("1 \r\n", 1),
            ("1;a=b\r\n", 1),
            ("1\n", 1),
            ("1\ra", 2),
            ("1\r\nab", 4),
            ("1\r\na\n", 4),
            ("1\r\na\r\r", 5),
            ("1\r\na\r\n\r\n", 6),
            ("0\r\nX: y\r\n\r\n", 3),
            ("0\r\n\n", 3),
            ("0\r\n\ra", 4),
            ("12345678\r\n", 7),
            ("00000000\r\n", 7),
        ] {
            assert_eq!(Chunks::default().read(body.as_bytes()), Part::Bad(at), "{body:?}");
        }
    }
}
