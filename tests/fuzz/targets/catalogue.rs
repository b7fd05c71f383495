//! A file with actions that an operator adds. What is accepted has exactly the actions and parameters of the file, and each
//! action reads no argument that its file does not have.

#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use toml::Value;
use zec_gateway::{domain::Arguments, fuzz};

fuzz_target!(|input: &[u8]| {
    let Ok(text) = str::from_utf8(input) else { return };
    let Ok(rows) = fuzz::added_actions(text) else { return };
    let file: toml::Table = toml::from_str(text).expect("what is accepted is TOML");
    let written = file["action"].as_array().expect("a list of actions");
    assert_eq!(rows.len(), written.len());
    for (row, written) in rows.iter().zip(written) {
        let said = |name: &str| written.get(name).and_then(Value::as_str);
        assert_eq!(Some(row.name.as_str()), said("name"));
        assert_eq!(row.service, said("service").unwrap_or("zec"));
        assert!(said("version").is_none_or(|version| version == row.version));
        let fields = written.get("parameter").and_then(Value::as_array).into_iter().flatten();
        let first = |field: &Value| {
            let path = field["field"].as_str().expect("a text").to_owned();
            path.split(['.', '[']).next().unwrap_or_default().to_owned()
        };
        let wanted: BTreeSet<String> = fields.map(first).collect();
        let has: BTreeSet<String> = row.parameters.iter().map(|one| one.name.clone()).collect();
        assert_eq!(has, wanted);
        let _ = Arguments::parse(row, b"{}");
        if !has.contains("zz9") {
            assert!(Arguments::parse(row, br#"{"zz9":1}"#).is_err(), "an unknown parameter");
        }
    }
});
