//! The actions, and what their answers hold.

use std::collections::{BTreeSet, HashMap};

use super::{
    Certainty,
    parameter::{Meaning, Parameter, Shape},
    proof::Proof,
    resource::ResourceType,
    table::{CatalogueError, Table},
};

/// An action in one version of the API.
#[derive(Clone, Debug)]
pub struct ActionRow {
    /// The name, exactly as ZEC spells it.
    pub name: String,
    /// The service that performs it, which is a part of the path.
    pub service: String,
    /// The version of the service's API.
    pub version: String,
    /// What it does to resources.
    pub effect: Effect,
    /// The types of the resources that it is about: most have one, and lists of what is on offer have none. There are
    /// several if nothing says of which type an id is.
    pub resource_types: Vec<ResourceType>,
    /// Whether ZEC answers before the work is done.
    pub asynchronous: Certainty,
    /// What proves that a call was done if ZEC's answer is lost.
    pub proof: Proof,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
    /// Groups of parameters for one thing. ZEC heeds one of a group and ignores the others, so a call may have one.
    pub alternatives: Vec<Vec<String>>,
    /// What its answer holds.
    pub answer: Vec<Held>,
}

impl ActionRow {
    /// The parameter that names the resources of the action's own type, if the gateway demands it. ZEC requires it, or the
    /// call changes what is there and no source says that it could leave this out.
    #[must_use]
    pub fn required_id(&self) -> Option<&Parameter> {
        let demanded = |one: &Parameter| {
            one.required == Certainty::Yes
                || one.required == Certainty::Unknown && self.changes_what_is_there()
        };
        self.parameters.iter().find(|one| demanded(one) && self.is_own_id(one))
    }

    /// The list whose every object names a resource of the action's own type, if the gateway demands that, and the member
    /// that does.
    #[must_use]
    pub fn required_id_of_each(&self) -> Option<(&Parameter, &Parameter)> {
        let find = |list: &'_ Parameter| match &list.shape {
            Shape::Objects(members) => members.iter().position(|one| self.is_own_id(one)),
            _ => None,
        };
        let list = self.parameters.iter().find(|one| find(one).is_some())?;
        let member = list.members().get(find(list)?)?;
        self.changes_what_is_there().then_some((list, member))
    }

    /// Whether it is the same action in the same version.
    pub(super) fn is_the_same_as(&self, other: &Self) -> bool {
        self.version == other.version && self.name == other.name
    }

    /// The types of the resources that a call of it changes; none if it only creates or reads, or names no type.
    #[must_use]
    pub fn types_of_the_changed(&self) -> &[ResourceType] {
        if self.changes_what_is_there() { &self.resource_types } else { &[] }
    }

    /// Whether a call of it changes resources of this type.
    #[must_use]
    pub fn changes(&self, kind: &str) -> bool {
        self.types_of_the_changed().iter().any(|own| own.as_str() == kind)
    }

    /// Whether it is about resources of one of these types.
    #[must_use]
    pub fn is_about(&self, types: &[ResourceType]) -> bool {
        types.iter().any(|kind| self.resource_types.contains(kind))
    }

    fn changes_what_is_there(&self) -> bool {
        self.effect.is_change() && !self.creates()
    }

    fn is_own_id(&self, parameter: &Parameter) -> bool {
        matches!(&parameter.meaning, Meaning::Id(types) if self.is_about(types))
    }

    /// The types of this API whose resources a call can name, each once.
    #[must_use]
    pub fn named_types(&self) -> BTreeSet<&ResourceType> {
        let named = self.parameters.iter().flat_map(Parameter::types);
        named.filter(|kind| !kind.is_of_another_product()).collect()
    }

    /// Whether a call may be decided on the account: it creates something, or need not name what it is about.
    #[must_use]
    pub fn may_be_the_accounts(&self) -> bool {
        self.creates() || self.required_id().is_none() && self.required_id_of_each().is_none()
    }

    /// Whether the action changes what policies rely on: the tags or the resource group of resources that exist.
    #[must_use]
    pub fn reclassifies(&self) -> bool {
        let sets = |one: &Parameter| one.sets_tags() || one.names_group();
        self.changes_what_is_there() && self.parameters.iter().any(sets)
    }

    /// Whether the answer holds a secret.
    #[must_use]
    pub fn answers_a_secret(&self) -> bool {
        self.answer.iter().any(|held| held.holds == Holds::Secret)
    }

    /// Whether the action creates resources.
    #[must_use]
    pub fn creates(&self) -> bool {
        self.answer.iter().any(|held| held.presence == Presence::Created)
    }
}

labels! {
    /// What an action does to resources.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Effect by label, from from_label {
        /// Shows something.
        Read = "read",
        /// Asks for a price.
        Inquiry = "price-inquiry",
        /// Changes something that can be changed back.
        Write = "write",
        /// Changes something for good, or takes it away.
        Destructive = "destructive",
    }
}

impl Effect {
    /// Whether it changes anything.
    #[must_use]
    pub const fn is_change(self) -> bool {
        matches!(self, Self::Write | Self::Destructive)
    }
}

/// Something that an answer holds.
#[derive(Clone, Debug)]
pub struct Held {
    /// Its path in the answer's `response`; `None` if it is the answer itself, or nothing.
    pub path: Option<String>,
    /// What it is.
    pub holds: Holds,
    /// The types of the resources there.
    pub resource_types: Vec<ResourceType>,
    /// Why it is there.
    pub presence: Presence,
}

labels! {
    /// What a part of an answer is.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Holds by label, from from_label {
        /// A list of resources.
        Objects = "objects",
        /// One resource.
        Object = "object",
        /// The answer itself is one resource.
        Itself = "self",
        /// A list of ids.
        Ids = "ids",
        /// One id.
        Id = "id",
        /// A secret.
        Secret = "secret",
        /// Measurements over time.
        Series = "series",
        /// A list of what is on offer.
        Catalogue = "catalogue",
        /// Other values.
        Values = "values",
        /// Nothing.
        Nothing = "none",
    }
}

labels! {
    /// Why resources are in an answer.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Presence by label, from from_label {
        /// The caller asked to see them.
        Shown = "shown",
        /// The action created them.
        Created = "created",
        /// The action failed for them, although the answer's status is 200.
        Failed = "failed",
        /// The action returns them for another reason.
        Returned = "returned",
        /// There are none.
        Nothing = "-",
    }
}

/// What each action's answer holds, by the action's name.
pub(super) fn answers(table: &Table<'_>) -> Result<HashMap<String, Vec<Held>>, CatalogueError> {
    let mut all: HashMap<String, Vec<Held>> = HashMap::new();
    for row in table.rows() {
        let resource_types = match row.optional("resource_type")? {
            None => Vec::new(),
            Some(_) => row.known("resource_type", ResourceType::parse_all)?,
        };
        all.entry(row.cell("action")?.to_owned()).or_default().push(Held {
            path: row.optional("path")?.map(str::to_owned),
            holds: row.known("holds", Holds::from_label)?,
            resource_types,
            presence: row.known("effect", Presence::from_label)?,
        });
    }
    Ok(all)
}

/// The groups of parameters for one thing, by the action's name.
pub(super) fn alternatives(
    table: &Table<'_>,
) -> Result<HashMap<String, Vec<Vec<String>>>, CatalogueError> {
    let mut all: HashMap<String, Vec<Vec<String>>> = HashMap::new();
    for row in table.rows() {
        let fields = row.cell("fields")?.split(',').map(str::to_owned).collect();
        all.entry(row.cell("action")?.to_owned()).or_default().push(fields);
    }
    Ok(all)
}

/// What other tables say of each action, by its name.
pub(super) struct OfActions {
    pub(super) answers: HashMap<String, Vec<Held>>,
    pub(super) alternatives: HashMap<String, Vec<Vec<String>>>,
}

/// The service and the version of the actions in a table.
pub(super) enum Versions<'a> {
    /// The same for all.
    Same(&'a str, &'a str),
    /// Each row has its own, in the columns `service` and `version`.
    Each,
}

/// The actions of the table that have parameters; with `all`, each must have them.
pub(super) fn read(
    table: &Table<'_>,
    versions: &Versions<'_>,
    all: bool,
    mut parameters: HashMap<String, Vec<Parameter>>,
    of_actions: &OfActions,
) -> Result<Vec<ActionRow>, CatalogueError> {
    let mut actions = Vec::new();
    for row in table.rows() {
        let name = row.cell("action")?;
        let parameters = match parameters.remove(name) {
            Some(parameters) => parameters,
            None if all => return Err(row.fault(format!("`{name}` has no row of parameters"))),
            None => continue,
        };
        let resource_types = match row.cell("resource_type")? {
            "catalog" => Vec::new(),
            _ => row.known("resource_type", ResourceType::parse_all)?,
        };
        let (service, version) = match versions {
            Versions::Same(service, version) => ((*service).to_owned(), (*version).to_owned()),
            Versions::Each => (row.known("service", service)?, row.known("version", version)?),
        };
        let answer = of_actions.answers.get(name).cloned();
        let alternatives = of_actions.alternatives.get(name).cloned().unwrap_or_default();
        let is_there = |field: &String| parameters.iter().any(|one| one.name == *field);
        if let Some(field) = alternatives.iter().flatten().find(|field| !is_there(field)) {
            return Err(row.fault(format!("`{name}` has no parameter `{field}` to choose from")));
        }
        actions.push(ActionRow {
            name: name.to_owned(),
            service,
            version,
            effect: row.known("access", Effect::from_label)?,
            resource_types,
            asynchronous: row.known("async", Certainty::from_label)?,
            proof: row.known("proof", Proof::parse)?,
            parameters,
            alternatives,
            answer: answer.ok_or_else(|| row.fault(format!("`{name}` has no row of answers")))?,
        });
    }
    match parameters.keys().next() {
        None => Ok(actions),
        Some(name) => Err(CatalogueError::in_table("actions", format!("`{name}` has no row"))),
    }
}

/// A service's name: 1 to 16 lower-case letters. It becomes a part of a path.
pub(super) fn service(text: &str) -> Option<String> {
    let fits = (1..=16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase());
    fits.then(|| text.to_owned())
}

/// A version of an API, which is a date. It becomes a header.
pub(super) fn version(text: &str) -> Option<String> {
    let fits = |(place, b): (usize, u8)| {
        if [4, 7].contains(&place) { b == b'-' } else { b.is_ascii_digit() }
    };
    (text.len() == 10 && text.bytes().enumerate().all(fits)).then(|| text.to_owned())
}
