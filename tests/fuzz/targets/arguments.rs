//! The arguments of any action of ZEC's API. What is accepted holds nothing that was not sent, loses nothing but nulls,
//! names no id that was not sent, and reads as itself again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use zec_gateway::{catalogue::Catalogue, domain::Arguments};

fuzz_target!(|input: &[u8]| {
    let [high, low, body @ ..] = input else { return };
    let rows = Catalogue::built_in().expect("the tables are sound").actions();
    let row = &rows[usize::from(u16::from_be_bytes([*high, *low])) % rows.len()];
    let Ok(read) = Arguments::parse(row, body) else { return };
    let sent: Value = serde_json::from_slice(body).expect("what is accepted is JSON");
    assert_eq!(read.canonical(), oracle::canonical(&sent));
    for named in read.named() {
        assert!(!named.id.is_empty() && named.id.len() <= 64);
        assert!(read.canonical().contains(&format!("\"{}\"", named.id)), "an id that was not sent");
    }
    let again = Arguments::parse(row, read.canonical().as_bytes()).expect("it reads as itself");
    assert_eq!((again.canonical(), again.named().len()), (read.canonical(), read.named().len()));
});
