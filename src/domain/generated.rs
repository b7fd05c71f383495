//! Random valid calls of every action, for tests. They are made by another way than the reader's.

use serde_json::{Map, Value, json};

use super::{ActionCall, Arguments, ArgumentsError};
use crate::catalogue::{ActionRow, Catalogue, Meaning, Parameter, Scalar, Shape};

/// A valid call of a random action.
pub(crate) fn call(random: &mut fastrand::Rng) -> ActionCall {
    let (row, sent, _) = arguments(random);
    ActionCall::parse(row, sent.to_string().as_bytes()).unwrap()
}

/// A random action, valid arguments of it, and every id in them.
pub(crate) fn arguments(random: &mut fastrand::Rng) -> (&'static ActionRow, Value, Vec<String>) {
    let rows = Catalogue::built_in().unwrap().actions();
    let row = &rows[random.usize(..rows.len())];
    loop {
        let mut ids = Vec::new();
        let sent = object_of(&row.parameters, random, &mut ids);
        match Arguments::parse(row, sent.to_string().as_bytes()) {
            // Some parameters exclude each other, and some must be there.
            Err(
                ArgumentsError::Widens { .. }
                | ArgumentsError::Alternatives(_)
                | ArgumentsError::Missing(_)
                | ArgumentsError::Required(_)
                | ArgumentsError::RepeatedTag(_),
            ) => {}
            read => {
                read.unwrap();
                return (row, sent, ids);
            }
        }
    }
}

/// A valid value of a parameter, and the ids in it, by another way than the reader's.
fn value_of(parameter: &Parameter, random: &mut fastrand::Rng, ids: &mut Vec<String>) -> Value {
    let mut one = |scalar: Scalar, random: &mut fastrand::Rng| match (scalar, &parameter.meaning) {
        (Scalar::Text, Meaning::Id(_)) => {
            let id = random.u64(..).to_string();
            ids.push(id.clone());
            json!(id)
        }
        (Scalar::Text, Meaning::Address) => json!(format!("10.0.0.{}", random.u8(..))),
        (Scalar::Text, Meaning::Addresses) => json!("10.0.0.1,2001:db8::1"),
        (Scalar::Text, Meaning::Network) => {
            json!(random.choice(["10.0.0.0/8", "0.0.0.0/0", "10.0.0.1", "2001:db8::/32"]).unwrap())
        }
        (Scalar::Text, _) => json!(random.choice(["", "a", "ä\n\"", "{}"]).unwrap()),
        (Scalar::Integer, _) => json!(random.i64(..)),
        (Scalar::Float, _) => json!(f64::from(random.i32(-10_000..10_000)) / 100.0),
        (Scalar::Boolean, _) => json!(random.bool()),
    };
    match &parameter.shape {
        Shape::One(scalar) => one(*scalar, random),
        Shape::Many(scalar) => (0..random.usize(..4)).map(|_| one(*scalar, random)).collect(),
        Shape::Object(members) => object_of(members, random, ids),
        Shape::Objects(members) => {
            (0..random.usize(..3)).map(|_| object_of(members, random, ids)).collect()
        }
    }
}

fn object_of(parameters: &[Parameter], random: &mut fastrand::Rng, ids: &mut Vec<String>) -> Value {
    let mut members = Map::new();
    for parameter in parameters {
        if random.bool() {
            members.insert(parameter.name.clone(), value_of(parameter, random, ids));
        }
    }
    Value::Object(members)
}
