//! The Cedar schema, written from the catalogue: the types and actions that policies may name.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::OnceLock,
};

use cedar_policy::{Schema, SchemaFragment};

use crate::catalogue::{
    ActionRow, Catalogue, Effect, Holds, IfAbsent, Meaning, Parameter, ResourceRow, ResourceType,
    Scalar, Shape,
};

/// Actions that the gateway performs as another one, so that no policy may name them.
const PERFORMED_AS_ANOTHER: [&str; 1] = ["AssignNetworkInterfaceIpv4"];

/// The actions that are decided for each address of a request.
const PER_ADDRESS: [&str; 2] = ["BatchAssignNetworkInterfaceIpv4", "UnassignNetworkInterfaceIpv4"];

/// What is the same for every catalogue.
const HEAD: &str = include_str!("schema_head.cedarschema");

/// An action as policies see it: all versions of it together.
#[derive(Debug)]
pub(super) struct ActionType {
    /// The name.
    pub(super) name: String,
    /// All groups that it is in.
    pub(super) groups: Vec<&'static str>,
    /// The types of the resources that it is decided on.
    resource_types: BTreeSet<String>,
    /// Whether it may be decided on the account.
    on_account: bool,
    /// The parameters of every version.
    pub(super) parameters: Vec<Parameter>,
}

/// Every action of the catalogue, by name.
pub(super) fn actions(catalogue: &Catalogue) -> Vec<ActionType> {
    let mut by_name: BTreeMap<&str, Vec<&ActionRow>> = BTreeMap::new();
    for row in catalogue.actions() {
        if !PERFORMED_AS_ANOTHER.contains(&row.name.as_str()) {
            by_name.entry(&row.name).or_default().push(row);
        }
    }
    by_name.into_iter().map(|(name, rows)| ActionType::of(name, &rows)).collect()
}

impl ActionType {
    /// Whether it is decided on resources of this Cedar type.
    pub(super) fn is_about(&self, own: &str) -> bool {
        let own = own.strip_prefix("Zec::").unwrap_or(own);
        self.on_account && own == "Account"
            || self.resource_types.iter().any(|kind| type_name(kind) == own)
    }

    fn of(name: &str, rows: &[&ActionRow]) -> Self {
        let mut parameters = Vec::new();
        let mut resource_types = BTreeSet::new();
        for row in rows {
            merge(&mut parameters, &row.parameters);
            resource_types.extend(row.named_types().into_iter().map(ToString::to_string));
        }
        let on_account = rows.iter().any(|row| row.may_be_the_accounts());
        // The versions of an action differ in parameters alone.
        let mut groups = rows.first().map(|row| groups(row)).unwrap_or_default();
        if PER_ADDRESS.contains(&name) {
            groups.insert(0, "addresses");
        }
        Self { name: name.to_owned(), groups, resource_types, on_account, parameters }
    }
}

/// The groups that a group is in, as `schema_head.cedarschema` says it.
pub(super) fn parents_of_group(group: &str) -> &'static [&'static str] {
    match group {
        "inquiry" | "catalogue" => &["read"],
        "destructive" | "reclassify" | "addresses" => &["write"],
        _ => &[],
    }
}

fn groups(row: &ActionRow) -> Vec<&'static str> {
    let is_catalogue = row.answer.iter().any(|held| held.holds == Holds::Catalogue);
    match row.effect {
        Effect::Inquiry => vec!["inquiry", "read"],
        Effect::Read if is_catalogue => vec!["catalogue", "read"],
        Effect::Read => vec!["read"],
        Effect::Destructive => vec!["destructive", "write"],
        Effect::Write if row.reclassifies() => vec!["reclassify", "write"],
        Effect::Write => vec!["write"],
    }
}

/// Adds the parameters that are not there yet.
fn merge(all: &mut Vec<Parameter>, more: &[Parameter]) {
    for parameter in more {
        match all.iter_mut().find(|one| one.name == parameter.name) {
            None => all.push(parameter.clone()),
            Some(known) => match (&mut known.shape, &parameter.shape) {
                (Shape::Object(known), Shape::Object(more))
                | (Shape::Objects(known), Shape::Objects(more)) => merge(known, more),
                _ => {}
            },
        }
    }
}

/// The name of a type of resources, without its namespace: `NatGateway` for `nat-gateway`.
pub(super) fn type_name(kind: &str) -> String {
    kind.split('-')
        .map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            first.to_ascii_uppercase() + rest
        })
        .collect()
}

/// Every type of the catalogue: those of resources, of parents, and of other products.
pub(super) fn kinds(catalogue: &Catalogue) -> BTreeSet<String> {
    let own = catalogue.resources().iter().map(|row| row.kind.to_string());
    let named =
        catalogue.actions().iter().flat_map(|row| &row.parameters).flat_map(Parameter::types);
    let parents = [ResourceType::RESOURCE_GROUP, ResourceType::REGION].map(str::to_owned);
    own.chain(named.map(ToString::to_string)).chain(parents).collect()
}

/// The whole schema.
pub(super) fn text(catalogue: &Catalogue) -> String {
    let mut text = entities(catalogue);
    for action in actions(catalogue) {
        text.push_str(&action.text());
    }
    text.push_str("}\n");
    text
}

/// The schema of the catalogue in use, as Cedar has read it. Only a load needs it, so nothing keeps its 2 MiB. A build without
/// optimisation does, because there each reading takes long, and tests load often.
///
/// # Errors
/// What is wrong with it.
pub(super) fn in_use() -> Result<Schema, String> {
    static KEPT: OnceLock<Result<Schema, String>> = OnceLock::new();
    let make = || Catalogue::in_use().map_err(|error| error.to_string()).and_then(read);
    if cfg!(debug_assertions) { KEPT.get_or_init(make).clone() } else { make() }
}

fn read(catalogue: &Catalogue) -> Result<Schema, String> {
    let mut all = Vec::new();
    for text in fragments(catalogue) {
        let read = SchemaFragment::from_cedarschema_str(&text).map_err(|error| error.to_string());
        all.push(read?.0);
    }
    Schema::from_schema_fragments(all).map_err(|error| error.to_string())
}

/// The schema in pieces, each of which is a schema by its form. Cedar's parser takes many times the memory of its text, and
/// the allocator keeps that.
fn fragments(catalogue: &Catalogue) -> impl Iterator<Item = String> {
    let several: Vec<String> = actions(catalogue)
        .chunks(ACTIONS_OF_A_FRAGMENT)
        .map(|some| {
            let texts: String = some.iter().map(ActionType::text).collect();
            format!("namespace Zec {{\n{texts}}}\n")
        })
        .collect();
    [entities(catalogue) + "}\n"].into_iter().chain(several)
}

/// How many actions are in a piece of the schema.
const ACTIONS_OF_A_FRAGMENT: usize = 16;

/// The beginning of the schema: everything but the catalogue's actions.
fn entities(catalogue: &Catalogue) -> String {
    let mut text = HEAD.to_owned();
    let own: BTreeSet<String> =
        catalogue.resources().iter().map(|row| row.kind.to_string()).collect();
    let _ =
        writeln!(text, "\n  // Resources of other products: a policy sees their ids in requests.");
    for kind in kinds(catalogue).difference(&own) {
        if ![ResourceType::RESOURCE_GROUP, ResourceType::REGION].contains(&kind.as_str()) {
            let _ = writeln!(text, "  entity {};", type_name(kind));
        }
    }
    let _ = writeln!(text, "\n  // Resources. Cedar tags are ZEC's tags.");
    // The attributes of a vNIC are written by hand, because policies had them before there was a catalogue.
    for row in catalogue.resources().iter().filter(|row| row.kind.as_str() != ResourceType::NIC) {
        text.push_str(&entity(catalogue, row));
    }
    let _ = writeln!(text, "\n  // Every action, by ZEC's name.");
    text
}

fn entity(catalogue: &Catalogue, row: &ResourceRow) -> String {
    let parents: Vec<String> =
        ancestors(catalogue, row).iter().map(|kind| type_name(kind)).collect();
    let within = match parents.as_slice() {
        [] => String::new(),
        parents => format!(" in [{}]", parents.join(", ")),
    };
    let mut attributes = vec!["id: String"];
    attributes.extend(row.name.is_some().then_some("name: String"));
    attributes.extend(row.status.is_some().then_some("status: String"));
    let tags = if row.has_tags { " tags String" } else { "" };
    let (name, attributes) = (type_name(row.kind.as_str()), attributes.join(", "));
    format!("  entity {name}{within} {{ {attributes} }}{tags};\n")
}

/// The types that a resource of this type can lie in, directly or not.
fn ancestors(catalogue: &Catalogue, row: &ResourceRow) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut waiting: Vec<&ResourceRow> = vec![row];
    while let Some(next) = waiting.pop() {
        all.extend((!next.regions.is_empty()).then(|| ResourceType::REGION.to_owned()));
        all.extend(next.group.is_some().then(|| ResourceType::RESOURCE_GROUP.to_owned()));
        for (_, kind) in next.parents() {
            if let Some(parent) = catalogue.resource(kind.as_str())
                && all.insert(kind.to_string())
            {
                waiting.push(parent);
            }
        }
    }
    all
}

impl ActionType {
    fn text(&self) -> String {
        let mut types: Vec<String> =
            self.resource_types.iter().map(|kind| type_name(kind)).collect();
        types.extend(self.on_account.then(|| "Account".to_owned()));
        let per_address = if PER_ADDRESS.contains(&self.name.as_str()) {
            "address: ipaddr, addressCount: Long, "
        } else {
            ""
        };
        let request = record(&self.parameters);
        format!(
            "  action {} in [{}]\n    appliesTo {{ principal: Caller, resource: [{}], context: {{ {per_address}dryRun: \
             Bool, via: String, now: datetime, request: {request} }} }};\n",
            self.name,
            self.groups.join(", "),
            types.join(", "),
        )
    }
}

/// The type of an object: a member is always there if ZEC's default is known.
fn record(parameters: &[Parameter]) -> String {
    let members = parameters.iter().filter_map(|parameter| {
        let optional = if matches!(parameter.if_absent, IfAbsent::Value(_)) { "" } else { "?" };
        Some(format!("\"{}\"{optional}: {}", parameter.name, type_of(parameter)?))
    });
    braced(members)
}

/// The type of a list of objects: a set for each of their members, because Cedar cannot compare records with optional
/// members.
fn sets(parameters: &[Parameter]) -> String {
    let members = parameters.iter().filter_map(|parameter| {
        let of_members = match &parameter.shape {
            Shape::One(scalar) | Shape::Many(scalar) => {
                format!("Set<{}>", scalar_type(*scalar, &parameter.meaning)?)
            }
            Shape::Object(members) | Shape::Objects(members) => sets(members),
        };
        Some(format!("\"{}\": {of_members}", parameter.name))
    });
    braced(members)
}

fn braced(members: impl Iterator<Item = String>) -> String {
    match members.collect::<Vec<_>>().as_slice() {
        [] => "{}".to_owned(),
        members => format!("{{ {} }}", members.join(", ")),
    }
}

fn type_of(parameter: &Parameter) -> Option<String> {
    match &parameter.shape {
        Shape::One(scalar) => scalar_type(*scalar, &parameter.meaning),
        Shape::Many(scalar) => Some(format!("Set<{}>", scalar_type(*scalar, &parameter.meaning)?)),
        Shape::Object(members) => Some(record(members)),
        Shape::Objects(members) => Some(sets(members)),
    }
}

/// The type of one value; `None` for a secret, which no policy sees.
fn scalar_type(scalar: Scalar, meaning: &Meaning) -> Option<String> {
    Some(match (scalar, meaning) {
        (_, Meaning::Secret) => return None,
        (Scalar::Text, Meaning::Id(types)) => match types.as_slice() {
            [kind] => type_name(kind.as_str()),
            // An id that can be of several types is no entity, because an entity has one.
            _ => "String".to_owned(),
        },
        (Scalar::Text, Meaning::Address | Meaning::Network) => "ipaddr".to_owned(),
        (Scalar::Text, Meaning::Addresses) => "Set<ipaddr>".to_owned(),
        (Scalar::Text, _) => "String".to_owned(),
        (Scalar::Integer, _) => "Long".to_owned(),
        (Scalar::Float, _) => "decimal".to_owned(),
        (Scalar::Boolean, _) => "Bool".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use cedar_policy_core::validator::ValidatorEntityType;

    use super::*;

    /// The golden file, so that a change of the schema is read in a diff. `ZEC_GATEWAY_WRITE_SCHEMA=1` writes it.
    #[test]
    fn the_schema_in_the_repository_is_the_one_of_the_catalogue() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/policy/schema.cedarschema");
        let text = text(Catalogue::built_in().unwrap());
        if std::env::var_os("ZEC_GATEWAY_WRITE_SCHEMA").is_some() {
            std::fs::write(path, &text).unwrap();
        }
        assert_eq!(include_str!("schema.cedarschema"), text, "read the diff, then write the file");
    }

    #[test]
    fn the_pieces_of_the_schema_are_the_whole() {
        let catalogue = Catalogue::built_in().unwrap();
        let (whole, _) = Schema::from_cedarschema_str(&text(catalogue)).unwrap();
        let pieces = read(catalogue).unwrap();
        assert_eq!(pieces.action_entities().unwrap(), whole.action_entities().unwrap());
        let types = |schema: &Schema| {
            let one = |kind: &ValidatorEntityType| {
                let (attributes, tags) = (kind.attributes(), kind.tag_type());
                format!("{} {attributes:?} {tags:?}", kind.name())
            };
            schema.as_ref().entity_types().map(one).collect::<BTreeSet<String>>()
        };
        assert_eq!(types(&pieces), types(&whole));
        let contexts = |schema: &Schema| {
            let all = schema.as_ref().action_ids();
            all.map(|one| format!("{} {:?}", one.name(), one.context_type()))
                .collect::<BTreeSet<String>>()
        };
        assert_eq!(contexts(&pieces), contexts(&whole));
        for action in whole.actions() {
            let of = |schema: &Schema| {
                let mut all: Vec<String> = schema
                    .resources_for_action(action)
                    .into_iter()
                    .flatten()
                    .map(ToString::to_string)
                    .collect();
                all.sort_unstable();
                all
            };
            assert_eq!(of(&pieces), of(&whole), "{action}");
        }
    }

    #[test]
    fn every_action_is_in_its_groups() {
        let actions = actions(Catalogue::built_in().unwrap());
        let groups = |name: &str| {
            actions.iter().find(|action| action.name == name).unwrap().groups.join(" ")
        };
        for (name, wanted) in [
            ("DescribeVpcs", "read"),
            ("DescribeZones", "catalogue read"),
            ("DescribeEipPrice", "inquiry read"),
            ("CreateVpc", "write"),
            ("DescribeVncUrl", "write"),
            ("DeleteVpc", "destructive write"),
            ("ModifyDisksResourceGroup", "reclassify write"),
            ("UnassignNetworkInterfaceIpv4", "addresses destructive write"),
        ] {
            assert_eq!(groups(name), wanted, "{name}");
        }
        assert!(!actions.iter().any(|action| action.name == "AssignNetworkInterfaceIpv4"));
    }
}
