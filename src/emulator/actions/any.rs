//! Every other action, by its row in the catalogue: resources are created, shown, changed and deleted.
//!
//! ZEC's own rules for these actions are not emulated, only what they have in common: what a call names must be there, a
//! list has filters and pages, and an answer has the members that the row says.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    super::{failure::Failure, nic::NicSeed},
    Output, Parameters, State, Version,
};
use crate::catalogue::{
    ActionRow, Catalogue, Effect, Held, Holds, Meaning, Parameter, Presence, ResourceRow,
    ResourceType, Shape,
};

/// The page size if the request names none, and the largest one.
const DEFAULT_PAGE_SIZE: u64 = 20;
const MAX_PAGE_SIZE: u64 = 1000;

/// What a resource has that was created without it.
const REGION: &str = "asia-east-1";
const ZONE: &str = "asia-east-1a";
const GROUP: &str = "6f0d2c1e-0000-4000-8000-000000000000";

/// The names of actions that take resources away.
const REMOVES: [&str; 2] = ["Delete", "Release"];
/// The names of actions that take resources out of what they lie in.
const TAKES_OUT: [&str; 3] = ["Detach", "Unassociate", "UnAssign"];

/// Resources of every type but vNICs, by type and id.
#[derive(Debug, Default)]
pub(super) struct Resources {
    pub(super) objects: BTreeMap<(String, String), Map<String, Value>>,
    created: u64,
}

/// An id that a call names, with the types that it can be of.
struct NamedId<'a> {
    kinds: Vec<&'a str>,
    id: &'a str,
}

impl Resources {
    /// Adds a resource with these members, and those that every resource of its type has.
    fn insert(&mut self, row: &ResourceRow, id: &str, given: &Map<String, Value>) {
        self.objects.insert((row.kind.to_string(), id.to_owned()), object(row, id, given));
    }

    fn of_type<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Map<String, Value>> {
        self.objects.iter().filter(move |((one, _), _)| one == kind).map(|(_, object)| object)
    }

    fn next_id(&mut self) -> String {
        self.created += 1;
        format!("17{:017}", self.created)
    }
}

/// A resource's object as ZEC shows it.
fn object(row: &ResourceRow, id: &str, given: &Map<String, Value>) -> Map<String, Value> {
    let mut object = Map::new();
    let plain = given.iter().filter(|(_, value)| !value.is_object() && !value.is_array());
    object.extend(plain.map(|(name, value)| (name.clone(), value.clone())));
    object.insert(row.id.clone(), json!(id));
    let text = |name: &str| given.get(name).and_then(Value::as_str);
    if let Some(name) = &row.name {
        let own = text(name).or_else(|| text("name")).unwrap_or_default();
        object.insert(name.clone(), json!(own));
    }
    if let Some(status) = &row.status {
        object.insert(status.clone(), json!("AVAILABLE"));
    }
    for region in &row.regions {
        let value = if region.ends_with("[]") { json!([REGION]) } else { json!(REGION) };
        object.entry(region.trim_end_matches("[]")).or_insert(value);
    }
    if let Some(zone) = &row.zone {
        object.entry(zone).or_insert(json!(ZONE));
    }
    set_group(row, &mut object, text("resourceGroupId").unwrap_or(GROUP));
    if row.has_tags {
        let tags = given.get("tags").cloned().unwrap_or_else(|| json!({ "tags": [] }));
        object.insert("tags".to_owned(), tags);
    }
    for (member, _) in row.parents() {
        let given = given.get(member).cloned().unwrap_or_default();
        object.entry(member).or_insert(given);
    }
    object
}

/// Puts an object into a resource group, if its type has one.
pub(super) fn set_group(row: &ResourceRow, object: &mut Map<String, Value>, id: &str) {
    let Some(path) = &row.group else { return };
    match path.split_once('.') {
        Some((holder, member)) => object.insert(holder.to_owned(), json!({ member: id })),
        None => object.insert(path.clone(), json!(id)),
    };
}

impl State {
    /// Adds a resource of any type.
    pub(in super::super) fn insert_resource(
        &mut self,
        kind: &str,
        id: &str,
        given: &Map<String, Value>,
    ) {
        if kind == ResourceType::NIC {
            let text = |name: &str| given.get(name).and_then(Value::as_str).map(str::to_owned);
            let usual = NicSeed::default();
            let seed = NicSeed {
                id: id.to_owned(),
                name: text("name").unwrap_or(usual.name),
                resource_group: text("resourceGroupId").map(|id| (id, "group".to_owned())),
                ..usual
            };
            self.insert(seed, std::time::SystemTime::now());
        } else if let Some(row) = resource_row(kind) {
            self.resources.insert(row, id, given);
        }
    }

    /// Carries out an action by its row.
    pub(super) fn any(
        &mut self,
        row: &ActionRow,
        parameters: &Parameters,
        version: Version,
    ) -> Result<Output, Failure> {
        let given = parameters.members();
        let members = match row.effect {
            Effect::Read | Effect::Inquiry => self.show(row, parameters, version)?,
            Effect::Write | Effect::Destructive => self.change(row, given)?,
        };
        Ok(Output { members, ..Output::default() })
    }

    fn has(&self, kind: &str, id: &str) -> bool {
        if kind == ResourceType::NIC {
            self.get(id).is_some()
        } else {
            self.resources.objects.contains_key(&(kind.to_owned(), id.to_owned()))
        }
    }

    fn show(
        &self,
        row: &ActionRow,
        parameters: &Parameters,
        version: Version,
    ) -> Result<Map<String, Value>, Failure> {
        let given = parameters.members();
        let is_list =
            |held: &&Held| held.holds == Holds::Objects && held.presence == Presence::Shown;
        let list = row.answer.iter().find(is_list).and_then(|held| {
            let path = held.path.as_deref()?.strip_suffix("[]")?;
            Some((path, held.resource_types.first()?.as_str()))
        });
        let mut members = Map::new();
        let Some((path, kind)) = list.filter(|(path, _)| !path.contains(['.', '['])) else {
            for held in row.answer.iter().filter(|held| held.holds == Holds::Itself) {
                let own = named(&row.parameters, given).into_iter().next();
                let kind = held.resource_types.first().map(ToString::to_string);
                let object = own
                    .zip(kind)
                    .and_then(|(own, kind)| self.resources.objects.get(&(kind, own.id.to_owned())));
                members.extend(object.cloned().unwrap_or_default());
            }
            return Ok(members);
        };
        let all: Vec<Map<String, Value>> = if kind == ResourceType::NIC {
            let infos = self.all().map(|nic| serde_json::to_value(nic.info(version)));
            infos.filter_map(Result::ok).filter_map(|value| value.as_object().cloned()).collect()
        } else {
            self.resources.of_type(kind).cloned().collect()
        };
        let found: Vec<Map<String, Value>> =
            all.into_iter().filter(|object| passes(row, kind, given, object)).collect();
        let size = parameters.count("pageSize", MAX_PAGE_SIZE)?.unwrap_or(DEFAULT_PAGE_SIZE);
        let number = parameters.count("pageNum", u64::MAX)?.unwrap_or(1);
        let first = usize::try_from((number - 1).saturating_mul(size)).unwrap_or(usize::MAX);
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        members.insert("totalCount".to_owned(), json!(found.len()));
        let page: Vec<_> = found.into_iter().skip(first).take(size).collect();
        members.insert(path.to_owned(), json!(page));
        Ok(members)
    }

    fn change(
        &mut self,
        row: &ActionRow,
        given: &Map<String, Value>,
    ) -> Result<Map<String, Value>, Failure> {
        let named = named(&row.parameters, given);
        for one in &named {
            let known = one.kinds.iter().any(|kind| resource_row(kind).is_some());
            if known && !one.kinds.iter().any(|kind| self.has(kind, one.id)) {
                let kind = one.kinds.first().copied().unwrap_or_default();
                let code = format!("INVALID_{}_NOT_FOUND", kind.replace('-', "_").to_uppercase());
                return Err(Failure::other(404, &code, format!("there is no {kind} `{}`", one.id)));
            }
        }
        let mut members = Map::new();
        for held in &row.answer {
            let Some(path) = held.path.as_deref() else { continue };
            let name = path.trim_end_matches("[]");
            if name.contains(['.', '[']) {
                continue;
            }
            match (held.presence, held.holds, held.resource_types.first()) {
                (Presence::Failed, ..) => {
                    members.insert(name.to_owned(), json!([]));
                }
                (Presence::Created, Holds::Id | Holds::Ids, Some(kind)) => {
                    let id = self.resources.next_id();
                    self.insert_resource(kind.as_str(), &id, given);
                    let is_list = held.holds == Holds::Ids;
                    let value = if is_list { json!([id]) } else { json!(id) };
                    members.insert(name.to_owned(), value);
                }
                _ => {}
            }
        }
        for own in row.types_of_the_changed().iter().map(ResourceType::as_str) {
            for one in named.iter().filter(|one| one.kinds.contains(&own)) {
                self.change_one(row, own, one.id, given);
            }
        }
        Ok(members)
    }

    fn change_one(&mut self, row: &ActionRow, kind: &str, id: &str, given: &Map<String, Value>) {
        let begins = |names: &[&str]| names.iter().any(|name| row.name.starts_with(name));
        let key = (kind.to_owned(), id.to_owned());
        if row.reclassifies() {
            self.reclassify(kind, id, given);
        }
        if begins(&REMOVES) {
            self.resources.objects.remove(&key);
            if kind == ResourceType::NIC {
                self.remove(id);
            }
            return;
        }
        if let (ResourceType::NIC, Some(nic)) = (kind, self.nics.get_mut(id)) {
            let given = given.get("instanceId").and_then(Value::as_str).map(str::to_owned);
            if given.is_some() || begins(&TAKES_OUT) {
                nic.seed.instance = given;
            }
        }
        let Some(object) = self.resources.objects.get_mut(&key) else { return };
        let parents: Vec<String> = resource_row(kind)
            .map(|row| row.parents().map(|(member, _)| member.to_owned()).collect())
            .unwrap_or_default();
        for (name, value) in object.iter_mut() {
            if begins(&TAKES_OUT) && parents.contains(name) {
                *value = Value::Null;
            } else if let Some(new) = given.get(name) {
                value.clone_from(new);
            }
        }
    }
}

pub(super) fn resource_row(kind: &str) -> Option<&'static ResourceRow> {
    Catalogue::in_use().ok()?.resource(kind)
}

/// Every id that the arguments name.
fn named<'a>(parameters: &'a [Parameter], given: &'a Map<String, Value>) -> Vec<NamedId<'a>> {
    let mut all = Vec::new();
    for parameter in parameters {
        let Some(value) = given.get(&parameter.name) else { continue };
        let items = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        match (&parameter.meaning, &parameter.shape) {
            (Meaning::Id(types), _) => {
                let kinds: Vec<&str> = types.iter().map(ResourceType::as_str).collect();
                let ids = items.iter().filter_map(Value::as_str);
                all.extend(ids.map(|id| NamedId { kinds: kinds.clone(), id }));
            }
            (_, Shape::Object(members) | Shape::Objects(members)) => {
                let objects = items.iter().filter_map(Value::as_object);
                all.extend(objects.flat_map(|object| named(members, object)));
            }
            _ => {}
        }
    }
    all
}

/// Whether an object passes the filters of a list: ids of its own type, and members of the same name.
fn passes(
    row: &ActionRow,
    kind: &str,
    given: &Map<String, Value>,
    object: &Map<String, Value>,
) -> bool {
    let own_id = resource_row(kind).and_then(|row| object.get(&row.id));
    row.parameters.iter().all(|parameter| {
        let Some(wanted) = given.get(&parameter.name).filter(|value| !value.is_null()) else {
            return true;
        };
        let is_own = matches!(&parameter.meaning, Meaning::Id(types) if types.iter().any(|one| one.as_str() == kind));
        match (wanted, &parameter.shape) {
            (Value::Array(ids), _) if is_own => {
                ids.is_empty() || own_id.is_some_and(|own| ids.contains(own))
            }
            (wanted, Shape::One(_)) => object.get(&parameter.name).is_none_or(|own| own == wanted),
            _ => true,
        }
    })
}
