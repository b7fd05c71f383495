//! The parameters of an action, as a tree.

use std::collections::HashMap;

use super::{
    Certainty,
    resource::ResourceType,
    table::{CatalogueError, Row, Table},
};

/// The longest name of a parameter, in bytes.
const MAX_NAME: usize = 64;

/// A parameter, or a member of one that is an object.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name in the JSON, without the path to it.
    pub name: String,
    /// The form of its value.
    pub shape: Shape,
    /// What its value means.
    pub meaning: Meaning,
    /// Whether ZEC requires it.
    pub required: Certainty,
    /// What ZEC does without it.
    pub if_absent: IfAbsent,
    /// Whether ZEC documents it as deprecated.
    pub deprecated: bool,
}

/// The form of a value.
#[derive(Clone, Debug)]
pub enum Shape {
    /// One value.
    One(Scalar),
    /// A list of values.
    Many(Scalar),
    /// An object with these members.
    Object(Vec<Parameter>),
    /// A list of objects with these members.
    Objects(Vec<Parameter>),
}

labels! {
    /// The type of a value that has no parts.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Scalar by name, from from_name {
        /// A text.
        Text = "string",
        /// A whole number.
        Integer = "integer",
        /// A number with a fraction.
        Float = "float",
        /// True or false.
        Boolean = "boolean",
    }
}

/// What the value of a parameter means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Nothing that the gateway treats in its own way.
    Plain,
    /// One of a set of words, which is not closed: ZEC's own documents omit some.
    Word,
    /// The id of a resource of one of these types.
    Id(Vec<ResourceType>),
    /// An IP address.
    Address,
    /// One or more IP addresses in one text, joined by commas.
    Addresses,
    /// A network.
    Network,
    /// A secret: no record and no policy sees it.
    Secret,
    /// The id of a region.
    Region,
    /// The id of a zone.
    Zone,
    /// The key of a tag.
    TagKey,
    /// The value of a tag.
    TagValue,
}

/// What ZEC does without a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfAbsent {
    /// No source says anything.
    Unstated,
    /// It takes this value, as a policy should see it.
    Value(String),
    /// It does this, which is no single value.
    Effect(String),
    /// It does this to resources that the call does not name, so the gateway demands the parameter.
    Widens {
        /// What it does.
        effect: String,
        /// Another parameter that says so openly when it is `true`.
        unless: Option<String>,
    },
}

impl Parameter {
    /// Every type whose ids it or its members hold.
    #[must_use]
    pub fn types(&self) -> Vec<&ResourceType> {
        let own = match &self.meaning {
            Meaning::Id(types) => types.iter().collect(),
            _ => Vec::new(),
        };
        own.into_iter().chain(self.members().iter().flat_map(Self::types)).collect()
    }

    /// Takes in what another row says of the same parameter: further members, and whether ZEC requires it.
    fn take_in(&mut self, other: Self) -> Result<(), String> {
        let differs = format!(
            "the gateway knows `{}` with another type or kind: leave it out, or write the known ones",
            self.name
        );
        if !self.meaning.is_the_same_as(&other.meaning) {
            return Err(differs);
        }
        match (&mut self.shape, other.shape) {
            (Shape::Object(known), Shape::Object(new))
            | (Shape::Objects(known), Shape::Objects(new)) => add_all(known, new)?,
            (Shape::One(known), Shape::One(new)) | (Shape::Many(known), Shape::Many(new))
                if *known == new => {}
            _ => return Err(differs),
        }
        if other.required != Certainty::Unknown {
            self.required = other.required;
        }
        Ok(())
    }

    /// The types of each id of it or its members that can be of several.
    pub(super) fn unsaid_types(&self) -> Vec<&[ResourceType]> {
        let own = match &self.meaning {
            Meaning::Id(types) if types.len() > 1 => vec![types.as_slice()],
            _ => Vec::new(),
        };
        own.into_iter().chain(self.members().iter().flat_map(Self::unsaid_types)).collect()
    }

    /// Whether it holds tags.
    #[must_use]
    pub fn sets_tags(&self) -> bool {
        self.meaning == Meaning::TagKey || self.members().iter().any(Self::sets_tags)
    }

    /// Whether it names a resource group.
    #[must_use]
    pub fn names_group(&self) -> bool {
        matches!(&self.meaning, Meaning::Id(types) if types.iter().any(|kind| kind.as_str() == ResourceType::RESOURCE_GROUP))
    }

    /// The members of an object, or of each object in a list; empty for values without parts.
    #[must_use]
    pub fn members(&self) -> &[Self] {
        match &self.shape {
            Shape::Object(members) | Shape::Objects(members) => members,
            Shape::One(_) | Shape::Many(_) => &[],
        }
    }
}

/// Adds parameters to those of a row. What the row says of those that it has stays.
///
/// # Errors
/// Where a known parameter is contradicted.
pub(super) fn add_all(known: &mut Vec<Parameter>, new: Vec<Parameter>) -> Result<(), String> {
    for one in new {
        match known.iter_mut().find(|own| own.name == one.name) {
            Some(own) => own.take_in(one)?,
            None => known.push(one),
        }
    }
    Ok(())
}

impl Meaning {
    fn is_the_same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Id(own), Self::Id(others)) => {
                own.len() == others.len() && own.iter().all(|kind| others.contains(kind))
            }
            _ => self == other,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "plain" => Self::Plain,
            "enum" => Self::Word,
            "address" => Self::Address,
            "addresses" => Self::Addresses,
            "cidr" => Self::Network,
            "secret" => Self::Secret,
            "region" => Self::Region,
            "zone" => Self::Zone,
            "tag-key" => Self::TagKey,
            "tag-value" => Self::TagValue,
            other => Self::Id(ResourceType::parse_all(other.strip_prefix("id:")?)?),
        })
    }
}

impl IfAbsent {
    fn parse(text: &str) -> Self {
        match text {
            "-" => Self::Unstated,
            effect if effect.starts_with('(') => {
                let effect = effect.trim_matches(['(', ')']);
                match effect.strip_prefix("widens").and_then(|rest| rest.split_once(": ")) {
                    Some((unless, effect)) => Self::Widens {
                        effect: effect.to_owned(),
                        unless: unless.strip_prefix(" unless ").map(str::to_owned),
                    },
                    None => Self::Effect(effect.to_owned()),
                }
            }
            value => Self::Value(value.to_owned()),
        }
    }
}

impl Shape {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "object" => Some(Self::Object(Vec::new())),
            "array of object" => Some(Self::Objects(Vec::new())),
            _ => match text.strip_prefix("array of ") {
                Some(of) => Scalar::from_name(of).map(Self::Many),
                None => Scalar::from_name(text).map(Self::One),
            },
        }
    }

    const fn is_list(&self) -> bool {
        matches!(self, Self::Many(_) | Self::Objects(_))
    }
}

/// The parameters of each action in the table, by the action's name. An action without parameters has an empty list.
pub(super) fn read(table: &Table<'_>) -> Result<HashMap<String, Vec<Parameter>>, CatalogueError> {
    let mut all: HashMap<String, Vec<Parameter>> = HashMap::new();
    for row in table.rows() {
        let parameters = all.entry(row.cell("action")?.to_owned()).or_default();
        if let Some(path) = row.optional("field")? {
            add(row, parameters, path)?;
        } else if !parameters.is_empty() {
            return Err(row.fault("an action with parameters has a row without one".to_owned()));
        }
    }
    Ok(all)
}

/// Adds the parameter at the end of a path such as `tags.tags[].key`. What holds it must be there.
fn add(row: Row<'_>, level: &mut Vec<Parameter>, path: &str) -> Result<(), CatalogueError> {
    if let Some((first, rest)) = path.split_once('.') {
        let name = first.strip_suffix("[]").unwrap_or(first);
        let holder = level.iter_mut().find(|one| one.name == name);
        return match holder.map(|holder| &mut holder.shape) {
            Some(Shape::Object(members) | Shape::Objects(members)) => add(row, members, rest),
            _ => Err(row.fault(format!("no object `{first}` comes before `{path}`"))),
        };
    }
    let shape = row.known("type", Shape::parse)?;
    let name = path.strip_suffix("[]").unwrap_or(path);
    if !(1..=MAX_NAME).contains(&name.len()) || !name.bytes().all(|b| b.is_ascii_alphanumeric()) {
        let rule = format!("a parameter's name has 1 to {MAX_NAME} letters and digits");
        return Err(row.fault(format!("`{path}`: {rule}, and a list ends with `[]`")));
    }
    if shape.is_list() != path.ends_with("[]") {
        return Err(row.fault(format!("`{path}` does not fit its type: only lists end with `[]`")));
    }
    if level.iter().any(|one| one.name == name) {
        return Err(row.fault(format!("`{path}` appears twice")));
    }
    let meaning = row.known("kind", Meaning::parse)?;
    if let Meaning::Id(types) = &meaning {
        check_id(row, &shape, name, types)?;
    }
    level.push(Parameter {
        name: name.to_owned(),
        shape,
        meaning,
        required: row.known("required", Certainty::from_label)?,
        if_absent: IfAbsent::parse(row.cell("if_absent")?),
        deprecated: row.known("deprecated", |cell| match cell {
            "yes" => Some(true),
            "no" => Some(false),
            _ => None,
        })?,
    });
    Ok(())
}

/// Checks that an id is a text, because only texts are decided as resources, and that the name of a single id shows it:
/// by its ending the policy's loader sees that a rule reads the resource behind it (`policy/looks.rs`). An id of several
/// types is no entity for a policy, so nothing can be read through it.
fn check_id(
    row: Row<'_>,
    shape: &Shape,
    name: &str,
    types: &[ResourceType],
) -> Result<(), CatalogueError> {
    match shape {
        Shape::One(Scalar::Text) if name.ends_with("Id") || types.len() > 1 => Ok(()),
        Shape::Many(Scalar::Text) => Ok(()),
        Shape::One(Scalar::Text) => Err(row
            .fault(format!("`{name}` is the kind of an id, and its name does not end with `Id`"))),
        _ => Err(row.fault(format!("`{name}` is the kind of an id, and its type is not `string`"))),
    }
}
