//! A resource of any type as ZEC describes it, with the members that policies may use.

mod after;
mod location;

use std::collections::BTreeMap;

use super::{Nic, Resource, json::Node, nic::tags};
use crate::catalogue::ResourceRow;
pub use location::Location;

/// A resource as ZEC described it.
///
/// As with a [`Nic`], a member that matters for a decision is never guessed.
#[derive(Clone, Debug)]
pub struct Described {
    /// The resource.
    pub resource: Resource,
    /// The vNIC, if it is one.
    pub nic: Option<Box<Nic>>,
    /// Its name, for people.
    pub name: Option<String>,
    /// Its status.
    pub status: Option<String>,
    /// Its tags by key.
    pub tags: BTreeMap<String, String>,
    /// What it lies in: the resource group, the region and every resource around it. There are several lineages if it lies
    /// in several places at once, such as a security group of two VPCs. There is none if not all of it is known.
    pub lineages: Vec<Vec<Resource>>,
    /// The same resource as a call could leave it, if the call changes its tags or its resource group. There are two if
    /// ZEC does not say which one it will be.
    pub would_be: Vec<Self>,
    /// The members that can prove an outcome, where they are texts. No policy sees them.
    pub proving: BTreeMap<String, String>,
}

/// The object lacks a member, or it has another type than ZEC documents.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is missing or malformed")]
pub struct DescribedError(String);

impl Described {
    /// Reads an object of a type, without its lineages, and the members that they are made of.
    ///
    /// # Errors
    /// When a member that policies may read is missing or malformed.
    pub fn read(row: &ResourceRow, object: &Node<'_>) -> Result<(Self, Location), DescribedError> {
        let missing = |name: &str| DescribedError(name.to_owned());
        let text = |name: &str| match object.get(name) {
            None | Some(Node::Null) => Ok(None),
            Some(Node::Text(text)) => Ok(Some(text.clone().into_owned())),
            Some(_) => Err(missing(name)),
        };
        let optional = |name: &Option<String>| match name {
            Some(name) => text(name),
            None => Ok(None),
        };
        let id = text(&row.id)?.ok_or_else(|| missing(&row.id))?;
        let tags = match object {
            Node::Object(members) if row.has_tags => tags(members).map_err(|_| missing("tags"))?,
            _ => BTreeMap::new(),
        };
        let mut location = Location {
            has_group: row.group.is_some(),
            group: group(row, object)?,
            ..Location::default()
        };
        for member in &row.regions {
            location.regions.extend(texts(object, member)?);
        }
        for (member, kind) in row.parents() {
            let all = texts(object, member)?.into_iter();
            location.parents.push(all.map(|id| Resource { kind: kind.to_string(), id }).collect());
        }
        let described = Self {
            resource: Resource { kind: row.kind.to_string(), id },
            nic: None,
            name: optional(&row.name)?,
            status: optional(&row.status)?,
            tags,
            lineages: Vec::new(),
            would_be: Vec::new(),
            proving: proving(row, object),
        };
        Ok((described, location))
    }

    /// A resource of which nothing is known but that it lies in nothing.
    #[must_use]
    pub fn without_place(resource: Resource) -> Self {
        Self {
            resource,
            nic: None,
            name: None,
            status: None,
            tags: BTreeMap::new(),
            lineages: vec![Vec::new()],
            would_be: Vec::new(),
            proving: BTreeMap::new(),
        }
    }

    /// A vNIC, which says itself what it lies in. It was read from this object.
    #[must_use]
    pub fn nic(nic: Box<Nic>, row: &ResourceRow, object: &Node<'_>) -> Self {
        Self {
            proving: proving(row, object),
            resource: Resource::nic(&nic.id),
            name: Some(nic.name.clone()),
            status: Some(nic.status.clone()),
            tags: nic.tags.clone(),
            lineages: vec![Vec::new()],
            would_be: Vec::new(),
            nic: Some(nic),
        }
    }
}

/// The members that can prove an outcome, where they are texts.
fn proving(row: &ResourceRow, object: &Node<'_>) -> BTreeMap<String, String> {
    let text = |name: &String| Some((name.clone(), object.get(name)?.as_str()?.to_owned()));
    row.proving.iter().filter_map(text).collect()
}

/// The resource group's id, at `resourceGroupId` or `resourceGroup.resourceGroupId`. A null or an empty object is no group.
fn group(row: &ResourceRow, object: &Node<'_>) -> Result<Option<String>, DescribedError> {
    let Some(path) = &row.group else { return Ok(None) };
    let missing = || DescribedError(path.clone());
    let (first, rest) = path.split_once('.').map_or((path.as_str(), None), |(a, b)| (a, Some(b)));
    let held = object.get(first).ok_or_else(missing)?;
    let id = match (held, rest) {
        (Node::Object(_), Some(rest)) => held.get(rest),
        (Node::Null, _) => None,
        (_, Some(_)) => return Err(missing()),
        (held, None) => Some(held),
    };
    match id {
        None | Some(Node::Null) => Ok(None),
        Some(Node::Text(id)) => Ok(Some(id.clone().into_owned())),
        Some(_) => Err(missing()),
    }
}

/// The texts of a member that is one text or a list of them; none if it is null. A text that is empty is no id.
fn texts(object: &Node<'_>, member: &str) -> Result<Vec<String>, DescribedError> {
    let member = member.trim_end_matches("[]");
    let wrong = || DescribedError(member.to_owned());
    let all = match object.get(member) {
        None => return Err(wrong()),
        Some(Node::Null) => Vec::new(),
        Some(Node::Text(text)) => vec![text.clone().into_owned()],
        Some(Node::List(items)) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or_else(wrong)?,
        Some(_) => return Err(wrong()),
    };
    Ok(all.into_iter().filter(|text| !text.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        catalogue::Catalogue,
        domain::{ActionCall, json},
    };

    fn read(kind: &str, object: &str) -> Result<(Described, Location), String> {
        let row = Catalogue::built_in().unwrap().resource(kind).unwrap();
        Described::read(row, &json::read(object.as_bytes()).unwrap()).map_err(|e| e.to_string())
    }

    fn lineages(
        location: &Location,
        known: &[(&str, &[&[&str]])],
    ) -> Result<Vec<Vec<String>>, String> {
        let parse = |text: &&str| Resource::parse(text).unwrap();
        let known: Vec<(Resource, Vec<Vec<Resource>>)> = known
            .iter()
            .map(|(name, all)| {
                (parse(name), all.iter().map(|one| one.iter().map(parse).collect()).collect())
            })
            .collect();
        let of = |wanted: &Resource| {
            known.iter().find(|(one, _)| one == wanted).map(|(_, all)| all.as_slice())
        };
        let shown = |all: Vec<Resource>| all.iter().map(ToString::to_string).collect();
        let all = location.lineages(of).map_err(|parent| parent.to_string())?;
        Ok(all.into_iter().map(shown).collect())
    }

    #[test]
    fn a_group_of_its_own_is_the_only_one_and_else_the_parents_counts() {
        let object = r#"{"instanceId":"i","instanceName":"n","status":"RUNNING","resourceGroupId":"own","tags":null,"subnetId":"s"}"#;
        let (described, location) = read("instance", object).unwrap();
        assert_eq!(
            (described.name.as_deref(), described.status.as_deref()),
            (Some("n"), Some("RUNNING"))
        );
        let subnet = &["vpc/v", "resource-group/vpcs", "region/r"][..];
        let found = lineages(&location, &[("subnet/s", &[subnet])]).unwrap();
        assert_eq!(found, [["resource-group/own", "subnet/s", "vpc/v", "region/r"]]);
        assert_eq!(lineages(&location, &[]).unwrap_err(), "subnet/s");
        // Without a group it is in none, though its VPC is in one.
        let (_, location) = read("instance", &object.replace(r#""own""#, "null")).unwrap();
        let found = lineages(&location, &[("subnet/s", &[subnet])]).unwrap();
        assert_eq!(found, [["subnet/s", "vpc/v", "region/r"]]);

        let (_, location) =
            read("subnet", r#"{"subnetId":"s","name":"n","regionId":"r","vpcId":"v"}"#).unwrap();
        let found = lineages(&location, &[("vpc/v", &[&["resource-group/vpcs"]])]).unwrap();
        assert_eq!(found, [["region/r", "vpc/v", "resource-group/vpcs"]]);
    }

    #[test]
    fn several_places_are_several_lineages() {
        let object = r#"{"securityGroupId":"g","securityGroupName":"n","vpcIds":["v","w"]}"#;
        let (_, location) = read("security-group", object).unwrap();
        let known = [("vpc/v", &[&["resource-group/a"][..]][..]), ("vpc/w", &[&[][..]])];
        assert_eq!(
            lineages(&location, &known).unwrap(),
            [vec!["vpc/v", "resource-group/a"], vec!["vpc/w"]]
        );
        let (_, location) =
            read("security-group", &object.replace(r#"["v","w"]"#, "null")).unwrap();
        assert_eq!(lineages(&location, &[]).unwrap(), [[""; 0]]);
    }

    #[test]
    fn a_call_that_changes_tags_or_group_shows_what_would_be() {
        let (mut described, _) = read(
            "ddos-policy",
            r#"{"policyId":"1","policyName":"n","resourceGroupId":"g","tags":{"tags":[{"key":"env","value":"lab"}]}}"#,
        )
        .unwrap();
        described.lineages = vec![vec![Resource::parse("resource-group/g").unwrap()]];
        let after = |action: &str, body: &str| {
            let row = Catalogue::built_in().unwrap().action("2025-09-01", action).unwrap();
            described.after(&ActionCall::parse(row, body.as_bytes()).unwrap())
        };
        let tags = r#"{"policyId":"1","tags":{"tags":[{"key":"env","value":"prod"}]}}"#;
        let changed = after("ModifyPolicy", tags).remove(0);
        assert_eq!(changed.tags, BTreeMap::from([("env".to_owned(), "prod".to_owned())]));
        assert_eq!(changed.lineages, described.lineages);
        let group = r#"{"diskIds":["1"],"resourceGroupId":"h"}"#;
        let changed = after("ModifyDisksResourceGroup", group).remove(0);
        assert_eq!(changed.lineages, [[Resource::parse("resource-group/h").unwrap()]]);
        assert_eq!(changed.tags, described.tags);
        assert!(after("ModifyPolicy", r#"{"policyId":"1"}"#).is_empty());
    }

    #[test]
    fn what_matters_is_never_guessed() {
        const VPC: &str = r#"{"vpcId":"v","name":"n","resourceGroup":{},"tags":{"tags":[]}}"#;
        assert_eq!(read("vpc", VPC).unwrap().1.group, None);
        for (whole, broken, said) in [
            (r#""vpcId":"v","#, "", "`vpcId`"),
            (r#","resourceGroup":{}"#, "", "`resourceGroup.resourceGroupId`"),
            (r#"{},"tags""#, r#"[],"tags""#, "`resourceGroup.resourceGroupId`"),
            (r#","tags":{"tags":[]}"#, "", "`tags`"),
            (r#"{"tags":[]}"#, r#"{"tags":[{"key":"a"},{"key":"a"}]}"#, "`tags`"),
            (r#""name":"n""#, r#""name":1"#, "`name`"),
        ] {
            let fault = read("vpc", &VPC.replace(whole, broken)).unwrap_err();
            assert!(fault.contains(said), "{broken}: {fault}");
        }
        for (object, said) in [
            (r#"{"subnetId":"s","name":"n","regionId":"r"}"#, "`vpcId`"),
            (r#"{"subnetId":"s","name":"n","vpcId":"v"}"#, "`regionId`"),
            (r#"{"subnetId":"s","name":"n","regionId":"r","vpcId":[1]}"#, "`vpcId`"),
        ] {
            let fault = read("subnet", object).unwrap_err();
            assert!(fault.contains(said), "{object}: {fault}");
        }
    }
}
