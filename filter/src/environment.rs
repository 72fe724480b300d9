//! The block of environment variables as the host hands it over: `NAME=value`, each ended by NUL.

/// The value of a variable; `None` where it is not set, or is not UTF-8.
pub(crate) fn find(block: &[u8], name: &str) -> Option<String> {
    let value = block.split(|byte| *byte == 0).find_map(|entry| {
        let rest = entry.strip_prefix(name.as_bytes())?;
        rest.strip_prefix(b"=")
    })?;
    String::from_utf8(value.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_found_by_their_whole_name() {
        let block = b"KEY_2=no\0KEY=1:a=b,2:c\0EMPTY=\0BAD=\xFF\0";
        assert_eq!(find(block, "KEY").as_deref(), Some("1:a=b,2:c"));
        assert_eq!(find(block, "EMPTY").as_deref(), Some(""));
        assert_eq!(find(block, "EY"), None);
        assert_eq!(find(block, "BAD"), None);
        assert_eq!(find(b"", "KEY"), None);
    }
}
