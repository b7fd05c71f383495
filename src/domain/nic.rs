//! A vNIC as ZEC describes it, with the members that policies may use.

use std::{collections::BTreeMap, net::Ipv4Addr};

use serde_json::value::RawValue;

use super::{
    NicId,
    json::{self, Members, Node},
};

/// A vNIC as ZEC described it: the object itself, and the members that a policy may read.
///
/// A member that matters for a decision is never guessed: if ZEC leaves one out, the object is refused. On a
/// vNIC with missing data, Cedar's `in` and `hasTag` are silently false, and a `forbid` would have no effect
/// (docs/threats.md, row 27).
#[derive(Clone, Debug)]
pub struct Nic {
    raw: Box<RawValue>,
    /// ZEC's `nicId`.
    pub id: NicId,
    /// ZEC's `name`, for people.
    pub name: String,
    /// ZEC's `status`, such as `USED`.
    pub status: String,
    /// ZEC's `nicType`: `Primary` or `Secondary`.
    pub nic_type: String,
    /// ZEC's `regionId`.
    pub region: String,
    /// ZEC's `vpcId`.
    pub vpc: String,
    /// ZEC's `subnetId`.
    pub subnet: String,
    /// ZEC's `resourceGroup.resourceGroupId`; `None` if ZEC shows an empty resource group.
    pub resource_group: Option<String>,
    /// ZEC's `primaryIpv4`; `None` on an IPv6-only vNIC.
    pub primary_ipv4: Option<Ipv4Addr>,
    /// ZEC's `secondaryIpv4s`: the addresses that can be removed.
    pub secondary_ipv4s: Vec<Ipv4Addr>,
    /// Whether ZEC shows an `instanceId`.
    pub attached: bool,
    /// Whether ZEC's `publicIpList` holds any address.
    pub has_public_ip: bool,
    /// ZEC's tags by key.
    pub tags: BTreeMap<String, String>,
}

/// What is wrong with a vNIC object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NicError {
    /// It is not a JSON object, or it has a key twice.
    #[error("the vNIC is not a JSON object: {0}")]
    Json(String),
    /// A member is missing or has another type than ZEC documents.
    #[error("the vNIC's `{0}` is missing or malformed")]
    Member(&'static str),
}

impl Nic {
    /// Reads a `NicInfo` object (docs/zec-api.md, section 6), and keeps its exact bytes.
    ///
    /// # Errors
    /// When it is not an object, or a member that policies may read is missing or malformed.
    pub fn parse(raw: Box<RawValue>) -> Result<Self, NicError> {
        let text = raw.get().to_owned();
        let value = json::read(text.as_bytes()).map_err(|e| NicError::Json(e.to_string()))?;
        Self::read(&value, raw)
    }

    /// As [`Nic::parse`], for an object that was already parsed strictly from exactly these bytes.
    ///
    /// # Errors
    /// As [`Nic::parse`].
    pub(crate) fn read(value: &Node<'_>, raw: Box<RawValue>) -> Result<Self, NicError> {
        let Node::Object(members) = value else {
            return Err(NicError::Json("it is of another type".to_owned()));
        };
        let text = |name| text(members, name);
        Ok(Self {
            id: NicId::parse(&text("nicId")?).map_err(|_| NicError::Member("nicId"))?,
            name: text("name")?,
            status: text("status")?,
            nic_type: text("nicType")?,
            region: text("regionId")?,
            vpc: text("vpcId")?,
            subnet: text("subnetId")?,
            resource_group: resource_group(members)?,
            primary_ipv4: primary_ipv4(members)?,
            secondary_ipv4s: secondary_ipv4s(members)?,
            attached: attached(members)?,
            has_public_ip: has_public_ip(members)?,
            tags: tags(members)?,
            raw,
        })
    }

    /// Its private IPv4 addresses, the primary one first.
    #[must_use]
    pub fn ipv4s(&self) -> Vec<Ipv4Addr> {
        self.primary_ipv4.iter().chain(&self.secondary_ipv4s).copied().collect()
    }

    /// The object as ZEC sent it, byte for byte.
    #[must_use]
    pub fn raw(&self) -> &RawValue {
        &self.raw
    }
}

fn text(members: &Members<'_>, name: &'static str) -> Result<String, NicError> {
    members.get(name).and_then(Node::as_str).map(str::to_owned).ok_or(NicError::Member(name))
}

/// `{}` is a resource group without an id (ZEC's SDKs accept it); an absent or null member is an error.
fn resource_group(members: &Members<'_>) -> Result<Option<String>, NicError> {
    const NAME: &str = "resourceGroup";
    let Some(Node::Object(group)) = members.get(NAME) else { return Err(NicError::Member(NAME)) };
    match group.get("resourceGroupId") {
        None => Ok(None),
        Some(Node::Text(id)) => Ok(Some(id.clone().into_owned())),
        Some(_) => Err(NicError::Member(NAME)),
    }
}

fn primary_ipv4(members: &Members<'_>) -> Result<Option<Ipv4Addr>, NicError> {
    const NAME: &str = "primaryIpv4";
    match members.get(NAME) {
        None | Some(Node::Null) => Ok(None),
        Some(Node::Text(text)) => text.parse().map(Some).map_err(|_| NicError::Member(NAME)),
        Some(_) => Err(NicError::Member(NAME)),
    }
}

/// ZEC writes an empty list as `[]` or null; an absent member is an error.
fn secondary_ipv4s(members: &Members<'_>) -> Result<Vec<Ipv4Addr>, NicError> {
    const FAULT: NicError = NicError::Member("secondaryIpv4s");
    match members.get("secondaryIpv4s") {
        Some(Node::Null) => Ok(Vec::new()),
        Some(Node::List(list)) => {
            let address = |item: &Node<'_>| item.as_str()?.parse().ok();
            list.iter().map(address).collect::<Option<_>>().ok_or(FAULT)
        }
        _ => Err(FAULT),
    }
}

/// On a vNIC without an instance, ZEC leaves `instanceId` out or sends null, never an empty text.
fn attached(members: &Members<'_>) -> Result<bool, NicError> {
    match members.get("instanceId") {
        None | Some(Node::Null) => Ok(false),
        Some(Node::Text(_)) => Ok(true),
        Some(_) => Err(NicError::Member("instanceId")),
    }
}

/// ZEC writes an empty list as `[]` or null; an absent member is an error.
fn has_public_ip(members: &Members<'_>) -> Result<bool, NicError> {
    match members.get("publicIpList") {
        Some(Node::Null) => Ok(false),
        Some(Node::List(list)) => Ok(!list.is_empty()),
        _ => Err(NicError::Member("publicIpList")),
    }
}

pub(super) fn tags(members: &Members<'_>) -> Result<BTreeMap<String, String>, NicError> {
    const FAULT: NicError = NicError::Member("tags");
    let list = match members.get("tags") {
        Some(Node::Null) => return Ok(BTreeMap::new()),
        Some(Node::Object(object)) => match object.get("tags") {
            None | Some(Node::Null) => return Ok(BTreeMap::new()),
            Some(Node::List(list)) => list,
            Some(_) => return Err(FAULT),
        },
        _ => return Err(FAULT),
    };
    let mut tags = BTreeMap::new();
    for tag in list {
        let key = tag.get("key").and_then(Node::as_str).ok_or(FAULT)?;
        let value = match tag.get("value") {
            None | Some(Node::Null) => "",
            Some(value) => value.as_str().ok_or(FAULT)?,
        };
        // If a key came twice, one of its values would be hidden from the policy.
        if tags.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(FAULT);
        }
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object() -> Value {
        json!({
            "nicId": "1612345678901234567", "name": "edge-web-2", "status": "USED",
            "nicType": "Secondary", "regionId": "asia-east-1", "publicIpList": [],
            "secondaryIpv4s": ["10.0.0.21"], "primaryIpv4": "10.0.0.11", "instanceId": null, "vpcId": "v", "subnetId": "s",
            "resourceGroup": {"resourceGroupId": "g"},
            "tags": {"tags": [{"key": "env", "value": "test"}]}, "later": 12_345_678_901_234_567_890_u64
        })
    }

    fn parse(value: &Value) -> Result<Nic, NicError> {
        Nic::parse(serde_json::value::to_raw_value(value).unwrap())
    }

    #[test]
    fn the_object_is_kept_as_it_came() {
        let text = r#"{"tags":{"tags":[]},"publicIpList":["1.2.3.4"],"resourceGroup":{},"zzz":1.50,
            "secondaryIpv4s":null,"nicId":"n","name":"","status":"USED","nicType":"Primary","regionId":"r","vpcId":"v","subnetId":"s"}"#;
        let nic = Nic::parse(RawValue::from_string(text.to_owned()).unwrap()).unwrap();
        assert_eq!(nic.raw().get(), text);
        assert!(nic.has_public_ip && !nic.attached);
        assert_eq!((nic.primary_ipv4, nic.resource_group), (None, None));
    }

    #[test]
    fn what_policies_look_at_is_read() {
        let nic = parse(&object()).unwrap();
        assert_eq!(nic.tags.get("env").map(String::as_str), Some("test"));
        assert_eq!(nic.primary_ipv4, Some(Ipv4Addr::new(10, 0, 0, 11)));
        assert_eq!(nic.ipv4s(), [Ipv4Addr::new(10, 0, 0, 11), Ipv4Addr::new(10, 0, 0, 21)]);
        assert_eq!(nic.resource_group.as_deref(), Some("g"));
        assert!(!nic.attached && !nic.has_public_ip);
    }

    #[test]
    fn a_missing_or_malformed_member_is_a_fault_not_a_guess() {
        for name in [
            "nicId",
            "name",
            "status",
            "nicType",
            "regionId",
            "vpcId",
            "subnetId",
            "resourceGroup",
            "publicIpList",
            "secondaryIpv4s",
            "tags",
        ] {
            let mut value = object();
            value.as_object_mut().unwrap().remove(name);
            assert_eq!(parse(&value).unwrap_err(), NicError::Member(name));
            value[name] = json!(7);
            assert_eq!(parse(&value).unwrap_err(), NicError::Member(name));
        }
        for list in [json!([7]), json!(["10.0.0.256"]), json!([null]), json!("10.0.0.21")] {
            let mut value = object();
            value["secondaryIpv4s"] = list;
            assert_eq!(parse(&value).unwrap_err(), NicError::Member("secondaryIpv4s"));
        }
        let mut value = object();
        value["tags"] = json!({"tags": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]});
        assert_eq!(parse(&value).unwrap_err(), NicError::Member("tags"));
    }
}
