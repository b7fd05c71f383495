//! ZEC's API as data: every action with its parameters, every type of resource, and what an answer holds.
//!
//! The tables in `tables/` are the facts. This room reads them strictly, and it uses no other room. Each column that is
//! read is described at the field that it fills.

mod action;
mod check;
mod extension;
mod parameter;
mod proof;
mod resource;
mod table;

use std::{collections::HashMap, sync::OnceLock};

pub use action::{ActionRow, Effect, Held, Holds, Presence};
#[cfg(fuzzing)]
pub(crate) use extension::read as fuzz_entry;
pub use parameter::{IfAbsent, Meaning, Parameter, Scalar, Shape};
pub use proof::{Proof, ShownValue};
pub use resource::{ReadBy, ResourceRow, ResourceType};
pub use table::CatalogueError;

use action::{OfActions, Versions};
use table::Table;

/// The service of ZEC's own API.
pub const ZEC: &str = "zec";

/// The version of ZEC's API that the first table of parameters describes.
pub const LATEST: &str = "2025-09-01";

/// The older version, of which the gateway knows the actions that ZEC's Terraform provider still sends.
const OLDER: &str = "2024-04-01";

labels! {
    /// Whether something is so, as far as ZEC's sources say.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Certainty by label, from from_label {
        /// It is.
        Yes = "yes",
        /// It is not.
        No = "no",
        /// No source says so.
        Unknown = "unknown",
    }
}

/// The text of an operator's file, and the catalogue with its actions.
static EXTENDED: OnceLock<(String, Catalogue)> = OnceLock::new();

/// Every known action and type of resource.
#[derive(Clone, Debug)]
pub struct Catalogue {
    actions: Vec<ActionRow>,
    /// The place of each action in `actions`, by version and name.
    places: HashMap<String, HashMap<String, usize>>,
    resources: Vec<ResourceRow>,
}

impl Catalogue {
    /// The catalogue of this program. It is read once.
    ///
    /// # Errors
    /// When a table breaks a rule, which a test would find.
    pub fn built_in() -> Result<&'static Self, CatalogueError> {
        static BUILT_IN: OnceLock<Result<Catalogue, CatalogueError>> = OnceLock::new();
        let read = || {
            Self::read(&Tables {
                actions: include_str!("tables/actions.tsv"),
                parameters: include_str!("tables/parameters.tsv"),
                older_parameters: include_str!("tables/parameters-2024-04-01.tsv"),
                services_actions: include_str!("tables/services-actions.tsv"),
                services_parameters: include_str!("tables/services-parameters.tsv"),
                resources: include_str!("tables/resources.tsv"),
                answers: include_str!("tables/answers.tsv"),
                alternatives: include_str!("tables/alternatives.tsv"),
            })
        };
        BUILT_IN.get_or_init(read).as_ref().map_err(Clone::clone)
    }

    /// The catalogue that this program works with: its own, and what an operator's file adds.
    ///
    /// # Errors
    /// As [`Self::built_in`].
    pub fn in_use() -> Result<&'static Self, CatalogueError> {
        match EXTENDED.get() {
            Some((_, catalogue)) => Ok(catalogue),
            None => Self::built_in(),
        }
    }

    /// Adds the actions of an operator's file. To a known action it adds the parameters. It must come before anything else
    /// uses the catalogue, and only once.
    ///
    /// # Errors
    /// When the file breaks a rule, or another file was added before.
    pub fn extend(text: &str) -> Result<(), CatalogueError> {
        let mut whole = Self::built_in()?.clone();
        whole.add(extension::read(text)?)?;
        let (known, _) = EXTENDED.get_or_init(|| (text.to_owned(), whole));
        if known == text {
            return Ok(());
        }
        let what = "another file was added before: restart the program".to_owned();
        Err(CatalogueError::in_table("catalogue_file", what))
    }

    /// Adds rows of an operator's file.
    ///
    /// # Errors
    /// Every row that contradicts a known one, or the first that breaks another rule.
    fn add(&mut self, rows: Vec<ActionRow>) -> Result<(), CatalogueError> {
        let mut faults = Vec::new();
        for row in rows {
            let same = self.actions.iter().position(|one| one.is_the_same_as(&row));
            let named = || self.actions.iter().position(|one| one.name == row.name);
            let Some(known) = same.or_else(named).and_then(|place| self.actions.get(place)) else {
                self.actions.push(row);
                continue;
            };
            match (extension::merged(known, row), same.and_then(|at| self.actions.get_mut(at))) {
                (Err(fault), _) => faults.push(fault),
                (Ok(row), Some(known)) => *known = row,
                (Ok(row), None) => self.actions.push(row),
            }
        }
        match faults.into_iter().reduce(|all, one| all.and(&one)) {
            Some(faults) => Err(faults),
            None => self.place().and_then(|()| check::types(&self.actions, &self.resources)),
        }
    }

    fn read(tables: &Tables<'_>) -> Result<Self, CatalogueError> {
        let resources = resource::read(&Table::read("resources", tables.resources)?)?;
        let rows = Table::read("actions", tables.actions)?;
        let parameters = parameter::read(&Table::read("parameters", tables.parameters)?)?;
        let alternatives = Table::read("alternatives", tables.alternatives)?;
        let of_actions = OfActions {
            answers: action::answers(&Table::read("answers", tables.answers)?)?,
            alternatives: action::alternatives(&alternatives)?,
        };
        let mut actions =
            action::read(&rows, &Versions::Same(ZEC, LATEST), true, parameters, &of_actions)?;
        let older = Table::read("parameters-2024-04-01", tables.older_parameters)?;
        let older = parameter::read(&older)?;
        let versions = Versions::Same(ZEC, OLDER);
        actions.extend(action::read(&rows, &versions, false, older, &of_actions)?);
        let rows = Table::read("services-actions", tables.services_actions)?;
        let parameters = Table::read("services-parameters", tables.services_parameters)?;
        let parameters = parameter::read(&parameters)?;
        actions.extend(action::read(&rows, &Versions::Each, true, parameters, &of_actions)?);
        let mut this = Self { actions, places: HashMap::new(), resources };
        this.place()?;
        check::types(&this.actions, &this.resources)?;
        Ok(this)
    }

    /// Notes the place of each action, and which members of resources prove an outcome.
    fn place(&mut self) -> Result<(), CatalogueError> {
        self.places.clear();
        let mut services: HashMap<&str, &str> = HashMap::new();
        for (place, action) in self.actions.iter().enumerate() {
            // A policy names an action without its service.
            if *services.entry(&action.name).or_insert(&action.service) != action.service {
                let what = format!("two services have an action `{}`", action.name);
                return Err(CatalogueError::in_table("actions", what));
            }
            let of_version = self.places.entry(action.version.clone()).or_default();
            if of_version.insert(action.name.clone(), place).is_some() {
                let what = format!("`{}` has two rows", action.name);
                return Err(CatalogueError::in_table("actions", what));
            }
        }
        for resource in &mut self.resources {
            let changing = self.actions.iter().filter(|row| row.changes(resource.kind.as_str()));
            let members = changing.flat_map(|row| row.proof.members()).map(str::to_owned);
            resource.proving = members.collect();
        }
        Ok(())
    }

    /// The action of this name in this version. Names are compared exactly: ZEC has pairs that differ only in case.
    #[must_use]
    pub fn action(&self, version: &str, name: &str) -> Option<&ActionRow> {
        self.actions.get(*self.places.get(version)?.get(name)?)
    }

    /// The action of this name in this version, or in the newest known one if none is named.
    #[must_use]
    pub fn named(&self, name: &str, version: Option<&str>) -> Option<&ActionRow> {
        let Some(version) = version else {
            // Actions of other services have one version each, and no name of ZEC's.
            let of_any = || self.actions.iter().find(|row| row.name == name);
            return self.action(LATEST, name).or_else(of_any);
        };
        self.action(version, name)
    }

    /// Whether some known action is of this service.
    #[must_use]
    pub fn has_service(&self, service: &str) -> bool {
        self.actions.iter().any(|row| row.service == service)
    }

    /// Every action, those of the latest version first.
    #[must_use]
    pub fn actions(&self) -> &[ActionRow] {
        &self.actions
    }

    /// Every type of resource of this API.
    #[must_use]
    pub fn resources(&self) -> &[ResourceRow] {
        &self.resources
    }

    /// The row of this type; `None` for a type of another product.
    #[must_use]
    pub fn resource(&self, kind: &str) -> Option<&ResourceRow> {
        self.resources.iter().find(|row| row.kind.as_str() == kind)
    }
}

/// The texts of all tables.
struct Tables<'a> {
    actions: &'a str,
    parameters: &'a str,
    older_parameters: &'a str,
    services_actions: &'a str,
    services_parameters: &'a str,
    resources: &'a str,
    answers: &'a str,
    alternatives: &'a str,
}

#[cfg(test)]
mod tests;
