//! A resource of any type as ZEC describes it, with the members that policies may use.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{ActionCall, Nic, Resource, json::Node, nic::tags};
use crate::catalogue::{ResourceRow, ResourceType};

/// The parameters of an action that changes some of a resource's tags: those to set, and the keys of those to remove.
const REPLACED_TAGS: &str = "replaceTags";
const REMOVED_TAGS: &str = "deleteTagKeys";

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
}

/// The members of an object that say where a resource lies.
#[derive(Clone, Debug, Default)]
pub struct Location {
    /// Whether its type has a resource group of its own. Then it has no other.
    pub has_group: bool,
    /// Its own resource group; `None` if its type has none, or ZEC shows none.
    pub group: Option<String>,
    /// Its regions; most types have one.
    pub regions: Vec<String>,
    /// For each member with parents: the resources that it names.
    pub parents: Vec<Vec<Resource>>,
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
        }
    }

    /// A vNIC, which says itself what it lies in.
    #[must_use]
    pub fn nic(nic: Box<Nic>) -> Self {
        Self {
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

impl Described {
    /// The resource as a call could leave it, with other tags or in another resource group; empty if it changes neither.
    #[must_use]
    pub fn after(&self, call: &ActionCall) -> Vec<Self> {
        let (given, removed) =
            (call.arguments().get(REPLACED_TAGS), call.arguments().get(REMOVED_TAGS));
        if call.row().parameters.iter().any(|one| one.name == REPLACED_TAGS) {
            // No source says whether tags that the call does not name remain.
            let given = given.map(given_tags);
            let is_removed = |key: &str| {
                let keys = removed.and_then(Value::as_array);
                keys.is_some_and(|keys| keys.iter().any(|one| one == key))
            };
            let mut merged = self.tags.clone();
            merged.extend(given.clone().unwrap_or_default());
            merged.retain(|key, _| !is_removed(key));
            let both = given.into_iter().chain([merged]);
            return both.map(|tags| self.with_tags(tags)).collect();
        }

        let mut after = self.clone();
        let mut changed = false;
        for parameter in &call.row().parameters {
            let Some(value) = call.arguments().get(&parameter.name) else { continue };
            if parameter.names_group()
                && let Some(id) = value.as_str()
            {
                changed = true;
                let group =
                    Resource { kind: ResourceType::RESOURCE_GROUP.to_owned(), id: id.to_owned() };
                for lineage in &mut after.lineages {
                    lineage.retain(|one| one.kind != ResourceType::RESOURCE_GROUP);
                    lineage.push(group.clone());
                }
                if let Some(nic) = &mut after.nic {
                    nic.resource_group = Some(id.to_owned());
                }
            }
            if parameter.sets_tags() {
                changed = true;
                after = after.with_tags(given_tags(value));
            }
        }
        if changed { vec![after] } else { Vec::new() }
    }

    fn with_tags(&self, tags: BTreeMap<String, String>) -> Self {
        let mut this = self.clone();
        if let Some(nic) = &mut this.nic {
            nic.tags.clone_from(&tags);
        }
        Self { tags, ..this }
    }
}

/// The tags in an argument such as `{"tags":[{"key":"env","value":"lab"}]}`.
fn given_tags(value: &Value) -> BTreeMap<String, String> {
    let list = value.get("tags").unwrap_or(value).as_array();
    let text = |tag: &Value, name: &str| Some(tag.get(name)?.as_str()?.to_owned());
    let pair = |tag: &Value| Some((text(tag, "key")?, text(tag, "value").unwrap_or_default()));
    list.into_iter().flatten().filter_map(pair).collect()
}

impl Location {
    /// The lineages of a resource at this location. `of` gives those of a parent; a parent that it does not know is an error.
    ///
    /// A group of the resource's own is its only one. Where a member names several parents, or there are several regions,
    /// each is a lineage of its own.
    ///
    /// # Errors
    /// The parent that is not known.
    pub fn lineages<'a>(
        &self,
        of: impl Fn(&Resource) -> Option<&'a [Vec<Resource>]>,
    ) -> Result<Vec<Vec<Resource>>, Resource> {
        let in_own = |kind: &str, id: &String| Resource { kind: kind.to_owned(), id: id.clone() };
        let mut all: Vec<Vec<Resource>> =
            vec![self.group.iter().map(|id| in_own(ResourceType::RESOURCE_GROUP, id)).collect()];
        all = combined(
            all,
            &self
                .regions
                .iter()
                .map(|id| vec![in_own(ResourceType::REGION, id)])
                .collect::<Vec<_>>(),
        );
        for parents in &self.parents {
            let mut through = Vec::new();
            for parent in parents {
                for lineage in of(parent).ok_or_else(|| parent.clone())? {
                    let inherited = lineage.iter().filter(|one| {
                        let group = one.kind == ResourceType::RESOURCE_GROUP && self.has_group;
                        let region = one.kind == ResourceType::REGION && !self.regions.is_empty();
                        !group && !region
                    });
                    through.push([parent.clone()].into_iter().chain(inherited.cloned()).collect());
                }
            }
            all = combined(all, &through);
        }
        Ok(all)
    }
}

/// Each lineage with each of the others; unchanged if there are no others.
fn combined(all: Vec<Vec<Resource>>, with: &[Vec<Resource>]) -> Vec<Vec<Resource>> {
    if with.is_empty() {
        return all;
    }
    let join = |one: &Vec<Resource>| {
        with.iter().map(|more| [one.as_slice(), more].concat()).collect::<Vec<_>>()
    };
    all.iter().flat_map(join).collect()
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
    use crate::{catalogue::Catalogue, domain::json};

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
