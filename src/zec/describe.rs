//! What ZEC shows in its answers: the vNIC of `DescribeNetworkInterfaces`, resources of any type, and what was not done.

use std::{sync::LazyLock, time::Duration};

use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    catalogue::{Holds, Presence, ResourceRow, ResourceType},
    domain::{Described, Location, Nic, NicId, WriteCall, json::Node},
    seldom::Seldom,
};

/// The vNIC in the answer to a read: `response` is the parsed object, and `all` the bytes that contain it.
/// `None` if ZEC shows none.
///
/// # Errors
/// What is wrong with the answer, if it does not show the vNIC that was asked for.
pub(super) fn nic(
    asked: &NicId,
    response: &Node<'_>,
    all: &[u8],
) -> Result<Option<Box<Nic>>, String> {
    let (nics, total) = list_of_nics(response)?;
    let nic = match nics {
        [] if total == 0 => return Ok(None),
        [] => return Err(format!("no vNIC of {total} shown")),
        [nic] => {
            let [bytes] = bytes_of_the_list::<[_; 1]>(all)?;
            Nic::read(nic, bytes).map_err(|error| error.to_string())?
        }
        _ => return Err("several vNICs instead of one".to_owned()),
    };
    if nic.id != *asked {
        return Err(format!("vNIC {} instead of {asked}", nic.id));
    }
    Ok(Some(Box::new(nic)))
}

/// How many vNICs a page of a search has. ZEC shows up to 1,000, but a page must fit into the largest answer that is read.
pub const NICS_OF_A_PAGE: usize = 100;

/// How often the log says that vNICs are left out.
const SAY_AGAIN: Duration = Duration::from_mins(1);

static SAID: LazyLock<Seldom> = LazyLock::new(|| Seldom::new(SAY_AGAIN));

/// A page of ZEC's list of vNICs.
#[derive(Debug)]
pub struct NicPage {
    /// The vNICs, in ZEC's order; `None` in the place of one that cannot be read.
    pub nics: Vec<Option<Box<Nic>>>,
    /// How many pass ZEC's filters, on all pages.
    pub total: u64,
}

/// The page in the answer to a search: `response` is the parsed object, and `all` the bytes that contain it.
///
/// # Errors
/// What is wrong with the answer.
pub(super) fn nics(response: &Node<'_>, all: &[u8]) -> Result<NicPage, String> {
    let (nodes, total) = list_of_nics(response)?;
    let bytes: Vec<_> = if nodes.is_empty() { Vec::new() } else { bytes_of_the_list(all)? };
    if nodes.len() != bytes.len() || nodes.len() > NICS_OF_A_PAGE {
        return Err(format!("{} vNICs on a page", nodes.len()));
    }
    let mut last_error = None;
    let read =
        |(node, bytes)| Nic::read(node, bytes).map_err(|error| last_error = Some(error)).ok();
    let nics: Vec<_> = nodes.iter().zip(bytes).map(read).map(|nic| nic.map(Box::new)).collect();
    if let Some(error) = last_error {
        let unreadable = nics.iter().filter(|nic| nic.is_none()).count();
        if SAID.is_due() {
            tracing::warn!(%error, unreadable, "some vNICs in ZEC's list cannot be read: they are left out");
        }
    }
    Ok(NicPage { nics, total })
}

/// The list of vNICs in an answer, and how many there are on all pages.
fn list_of_nics<'a, 'b>(response: &'a Node<'b>) -> Result<(&'a [Node<'b>], u64), String> {
    let nics = match response.get("dataSet") {
        Some(Node::List(nics)) => nics.as_slice(),
        // ZEC's other way to write an empty list; if the member is absent, the answer is unusable.
        Some(Node::Null) => &[],
        _ => return Err("no list of vNICs".to_owned()),
    };
    let total = match response.get("totalCount") {
        Some(Node::Number(total)) => total.as_u64(),
        _ => None,
    };
    Ok((nics, total.ok_or("no count of vNICs")?))
}

/// The resources of a type in the answer to a read by these ids, each at most once. One that was not asked for makes the
/// answer unusable.
///
/// # Errors
/// What is wrong with the answer.
pub(super) fn resources(
    row: &ResourceRow,
    ids: &[&str],
    response: &Node<'_>,
) -> Result<Vec<(Described, Location)>, String> {
    let objects = match response.get("dataSet") {
        Some(Node::List(objects)) => objects.as_slice(),
        Some(Node::Null) => &[],
        _ => return Err(format!("no list of `{}`", row.kind)),
    };
    let mut found: Vec<(Described, Location)> = Vec::new();
    for object in objects {
        let (described, location) = read(row, object)?;
        let id = described.resource.id.as_str();
        if !ids.contains(&id) || found.iter().any(|(one, _)| one.resource.id == id) {
            return Err(format!("`{}` was not asked for, or came twice", described.resource));
        }
        found.push((described, location));
    }
    Ok(found)
}

fn read(row: &ResourceRow, object: &Node<'_>) -> Result<(Described, Location), String> {
    let said = |error: &dyn std::error::Error| format!("a `{}` cannot be used: {error}", row.kind);
    if row.kind.as_str() != ResourceType::NIC {
        return Described::read(row, object).map_err(|error| said(&error));
    }
    let raw = serde_json::value::to_raw_value(&serde_json::Value::from(object.clone()));
    let nic = Nic::read(object, raw.map_err(|error| said(&error))?);
    let nic = Box::new(nic.map_err(|error| said(&error))?);
    Ok((Described::nic(nic, row, object), Location::default()))
}

/// What ZEC did not do of a write although it reports success: the lists that the action's row names, as JSON.
pub(super) fn failed(write: &WriteCall, response: &Node<'_>) -> Option<String> {
    let lists = write.row().answer.iter().filter(|held| held.presence == Presence::Failed);
    let mut failed = Vec::new();
    for held in lists.filter(|held| matches!(held.holds, Holds::Ids | Holds::Objects)) {
        let name = held.path.as_deref().unwrap_or_default().trim_end_matches("[]");
        if let Some(Node::List(items)) = response.get(name) {
            failed.extend(items.iter().cloned().map(serde_json::Value::from));
        }
    }
    if failed.is_empty() { None } else { serde_json::to_string(&failed).ok() }
}

/// The longest answer to a write that the record keeps, in bytes. Lists of created ids are shorter.
const MAX_KEPT: usize = 16 * 1024;

/// What the record keeps of the answer to a call: the whole `response`, unless it is long or holds a secret. The answer to a
/// change of addresses says nothing new.
pub(super) fn kept(write: &WriteCall, response: &Node<'_>) -> Option<String> {
    if write.change().is_some() || write.row().answers_a_secret() {
        return None;
    }
    let text = serde_json::to_string(&serde_json::Value::from(response.clone())).ok()?;
    (text.len() <= MAX_KEPT).then_some(text)
}

/// The exact bytes of each vNIC in an answer: `T` is a list of `RawValue`s.
fn bytes_of_the_list<T: DeserializeOwned>(all: &[u8]) -> Result<T, String> {
    #[derive(Deserialize)]
    struct Envelope<T> {
        response: Response<T>,
    }
    #[derive(Deserialize)]
    struct Response<T> {
        #[serde(rename = "dataSet")]
        data_set: T,
    }
    let envelope: Envelope<T> = serde_json::from_slice(all).map_err(|error| error.to_string())?;
    Ok(envelope.response.data_set)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};
    use serde_json::{Value, json};

    use super::*;
    use crate::zec::answer;

    fn shown(nics: &Value, total: usize) -> Result<Option<Box<Nic>>, String> {
        answered(&json!({"totalCount": total, "dataSet": nics}))
    }

    fn answered(response: &Value) -> Result<Option<Box<Nic>>, String> {
        let body = json!({"requestId": "T1", "response": response});
        let (asked, body) = (NicId::parse("nic-1").unwrap(), body.to_string());
        let take = |response: &Node<'_>, all: &[u8]| nic(&asked, response, all);
        answer::read(StatusCode::OK, &HeaderMap::new(), body.as_bytes(), take).unwrap().response
    }

    /// Two parsers read the answer. The tree and the bytes must be of the same object, whatever surrounds it.
    #[test]
    fn the_bytes_of_a_vnic_are_those_it_is_judged_by() {
        const NIC: &str = r#"{ "tags" : null, "nicId":"nic-1","name":"x \u0041", "status":"USED",
            "nicType":"Secondary","regionId":"r","vpcId":"v","subnetId":"s","publicIpList":[],
            "secondaryIpv4s":[], "resourceGroup":{"dataSet":[{"nicId":"nic-2"}]} }"#;
        let decoy = r#"[{"nicId":"nic-3","response":{"dataSet":[{"nicId":"nic-3"}]}}]"#;
        let body = format!(
            r#" {{"dataSet":{decoy},"re\u0073ponse" : {{"x":{{"dataSet":{decoy}}},
               "data\u0053et":[ {NIC} ] ,"totalCount":1}}, "requestId":"T1"}} "#
        );
        let asked = NicId::parse("nic-1").unwrap();
        let take = |response: &Node<'_>, all: &[u8]| nic(&asked, response, all);
        let read = answer::read(StatusCode::OK, &HeaderMap::new(), body.as_bytes(), take);
        let shown = read.unwrap().response.unwrap().unwrap();
        assert_eq!((shown.name.as_str(), shown.raw().get()), ("x A", NIC));
    }

    #[test]
    fn exactly_the_vnic_that_was_asked_for_is_taken() {
        let nic = json!({
            "nicId": "nic-1", "name": "", "status": "USED", "nicType": "Secondary",
            "regionId": "r", "vpcId": "v", "subnetId": "s", "publicIpList": [],
            "secondaryIpv4s": [],
            "resourceGroup": {}, "tags": null
        });
        let mut other = nic.clone();
        other["nicId"] = json!("nic-2");
        let nic_1 = shown(&json!([nic]), 1).unwrap().unwrap();
        assert_eq!(nic_1.raw().get(), nic.to_string());
        for none in [json!([]), json!(null)] {
            assert!(shown(&none, 0).unwrap().is_none());
            shown(&none, 1).unwrap_err();
        }
        for bad in [json!([other]), json!([nic, nic]), json!([other, nic]), json!([{}]), json!({})]
        {
            let count = bad.as_array().map_or(0, Vec::len);
            let answer = shown(&bad, count);
            assert!(answer.is_err(), "{bad}: {answer:?}");
        }
        for bad in [
            json!({"totalCount": 0}),
            json!({"dataSet": []}),
            json!({"totalCount": -1, "dataSet": [nic]}),
            json!({"totalCount": "1", "dataSet": [nic]}),
        ] {
            assert!(answered(&bad).is_err(), "{bad}");
        }
    }
}
