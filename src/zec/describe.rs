//! The vNIC that ZEC shows in its answer to `DescribeNetworkInterfaces`.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::{Nic, NicId, json::Node};

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
    let total = total.ok_or("no count of vNICs")?;
    let nic = match nics {
        [] if total == 0 => return Ok(None),
        [] => return Err(format!("no vNIC of {total} shown")),
        [nic] => Nic::read(nic, bytes_of_the_only_one(all)?).map_err(|error| error.to_string())?,
        _ => return Err("several vNICs instead of one".to_owned()),
    };
    if nic.id != *asked {
        return Err(format!("vNIC {} instead of {asked}", nic.id));
    }
    Ok(Some(Box::new(nic)))
}

/// The exact bytes of the one vNIC in an answer.
fn bytes_of_the_only_one(all: &[u8]) -> Result<Box<RawValue>, String> {
    #[derive(Deserialize)]
    struct Envelope {
        response: Response,
    }
    #[derive(Deserialize)]
    struct Response {
        #[serde(rename = "dataSet")]
        data_set: [Box<RawValue>; 1],
    }
    let envelope: Envelope = serde_json::from_slice(all).map_err(|error| error.to_string())?;
    let [nic] = envelope.response.data_set;
    Ok(nic)
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
