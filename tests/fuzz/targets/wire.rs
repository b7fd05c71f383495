//! A connection's bytes, split into heads. No head for hyper ends a line with a bare LF, each is passed on up to its
//! end and no further, and the size of the pieces makes no difference.

#![no_main]

use libfuzzer_sys::fuzz_target;
use zec_gateway::fuzz;

fuzz_target!(|input: &[u8]| {
    let Some((piece, bytes)) = input.split_first() else { return };
    let whole = fuzz::heads(bytes, bytes.len());
    let heads = whole.concat();
    let bare = heads.windows(2).any(|two| two[1] == b'\n' && two[0] != b'\r');
    assert!(!bare && heads.first() != Some(&b'\n'), "a bare line feed");
    for head in &whole {
        let begun = head.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
        let lines = &head[begun.unwrap_or(head.len())..];
        let end = lines.windows(4).position(|four| four == b"\r\n\r\n");
        assert!(end.is_none_or(|end| end + 4 == lines.len()), "two heads at once");
    }
    // Up to the first bare line feed, where everything ends, nothing is lost or changed.
    let same = heads.iter().zip(bytes).take_while(|(one, other)| one == other).count();
    assert!(same == bytes.len() || (heads[same] == 0 && bytes[same] == b'\n'));
    let pieces = fuzz::heads(bytes, usize::from(*piece)).concat();
    assert_eq!(pieces[..same], heads[..same]);
});
