//! Headers as they crossed the wire, kept as one block of bytes: `name: value\r\n` each.
//!
//! That is how they are stored, since values are bytes and receivers send what they like. An
//! attempt notes some twelve of them: as a block that is one allocation, not two for each.

use std::fmt;

/// A header as it crossed the wire. Values are bytes: receivers send what they like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Lower-case name.
    pub name: String,
    /// The value, not necessarily UTF-8.
    pub value: Vec<u8>,
}

/// Any number of headers, in order.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<u8>);

impl Headers {
    /// None yet, and room for this many bytes of them.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Adds one. A line break inside a name or value would read back as a header that was never
    /// there, so it becomes a space.
    pub fn push(&mut self, name: &str, value: &[u8]) {
        let from = self.0.len();
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b": ");
        self.0.extend_from_slice(value);
        for byte in &mut self.0[from..] {
            if matches!(byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
        self.0.extend_from_slice(b"\r\n");
    }

    /// Forgets them.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The block.
    pub fn as_block(&self) -> &[u8] {
        &self.0
    }

    /// One by one.
    pub fn list(&self) -> Vec<Header> {
        Self::list_of(&self.0)
    }

    /// The headers of a block.
    pub fn list_of(block: &[u8]) -> Vec<Header> {
        block
            .split(|byte| *byte == b'\n')
            .filter_map(|line| line.strip_suffix(b"\r"))
            .map(|line| {
                let colon = line.windows(2).position(|pair| pair == b": ");
                let (name, value) = match colon {
                    Some(at) => (&line[..at], &line[at + 2..]),
                    None => (line, &line[line.len()..]),
                };
                Header {
                    name: String::from_utf8_lossy(name).into_owned(),
                    value: value.to_vec(),
                }
            })
            .collect()
    }
}

impl<'a> FromIterator<&'a Header> for Headers {
    fn from_iter<I: IntoIterator<Item = &'a Header>>(list: I) -> Self {
        let mut headers = Self::default();
        for header in list {
            headers.push(&header.name, &header.value);
        }
        headers
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &str, value: &[u8]) -> Header {
        Header {
            name: name.to_owned(),
            value: value.to_vec(),
        }
    }

    #[test]
    fn headers_keep_their_bytes() {
        let list = [
            header("content-type", b"text/plain"),
            header("x-bytes", &[0, 0xff, b':', b' ', 0x80]),
            header("x-empty", b""),
        ];
        assert_eq!(list.iter().collect::<Headers>().list(), list);
        assert!(Headers::default().list().is_empty());
    }

    #[test]
    fn a_line_break_makes_no_header() {
        let mut headers = Headers::default();
        headers.push("a", b"1\r\nb: 2\n\n");
        assert_eq!(headers.list(), [header("a", b"1  b: 2  ")]);
    }
}
