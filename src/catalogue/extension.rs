//! Actions that an operator adds in a file, because ZEC has them and this program does not know them yet.

use std::collections::HashMap;

use serde::Deserialize;

use super::{
    ActionRow, CatalogueError, LATEST, OLDER, ZEC,
    action::{self, OfActions, Versions},
    parameter,
    table::Table,
};

/// The name of the file in faults.
const NAME: &str = "catalogue_file";

/// The columns of the tables that a file is read as.
const ACTIONS: &str = "action\taccess\tresource_type\tasync\tproof";
const PARAMETERS: &str = "action\tfield\ttype\trequired\tkind\tif_absent\tdeprecated";
const ANSWERS: &str = "action\tpath\tholds\tresource_type\teffect";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ActionsFile {
    action: Vec<WrittenAction>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenAction {
    name: String,
    service: Option<String>,
    version: Option<String>,
    access: String,
    resource_type: Option<String>,
    asynchronous: Option<String>,
    proof: Option<String>,
    /// The member of the answer with the id, or with `[]` the ids, of what the action creates.
    creates: Option<String>,
    #[serde(default)]
    parameter: Vec<WrittenParameter>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenParameter {
    field: String,
    #[serde(rename = "type")]
    shape: String,
    kind: Option<String>,
    required: Option<String>,
    if_absent: Option<String>,
}

/// The actions in a file, each with its version.
///
/// # Errors
/// When the file is not TOML of this form, or an action breaks a rule of the tables.
pub(crate) fn read(text: &str) -> Result<Vec<ActionRow>, CatalogueError> {
    let fault = |error: toml::de::Error| CatalogueError::in_table(NAME, error.to_string());
    let file: ActionsFile = toml::from_str(text).map_err(fault)?;
    file.action.into_iter().map(WrittenAction::row).collect()
}

impl WrittenAction {
    /// The row of the action, read as the tables are.
    fn row(self) -> Result<ActionRow, CatalogueError> {
        let service = self.service.as_deref().unwrap_or(ZEC);
        if action::service(service).is_none() {
            return Err(self.fault("is of no service, whose name has 1 to 16 lower-case letters"));
        }
        let version = match (self.version.as_deref(), service) {
            (None, ZEC) => LATEST,
            (Some(version), ZEC) if [LATEST, OLDER].contains(&version) => version,
            (_, ZEC) => return Err(self.fault("is of no version that the gateway sends")),
            (Some(version), _) if action::version(version).is_some() => version,
            _ => return Err(self.fault("needs the `version` of its service, as 2025-09-01")),
        };
        let is_name = |text: &str| {
            !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric())
        };
        if !is_name(&self.name) {
            return Err(self.fault("is no action's name, which has 1 to 64 letters and digits"));
        }
        let action = format!("{ACTIONS}\n{}", self.action()?);
        let parameters = format!("{PARAMETERS}\n{}", self.parameters()?);
        let answers = format!("{ANSWERS}\n{}", self.answer()?);
        let of_actions = OfActions {
            answers: action::answers(&Table::read(NAME, &answers)?)?,
            alternatives: HashMap::new(),
        };
        let parameters = parameter::read(&Table::read(NAME, &parameters)?)?;
        let versions = Versions::Same(service, version);
        let rows =
            action::read(&Table::read(NAME, &action)?, &versions, true, parameters, &of_actions)?;
        rows.into_iter().next().ok_or_else(|| self.fault("has no row"))
    }

    fn action(&self) -> Result<String, CatalogueError> {
        let kind = self.resource_type.as_deref().unwrap_or("catalog");
        let asynchronous = self.asynchronous.as_deref().unwrap_or("unknown");
        let proof = self.proof.as_deref().unwrap_or("-");
        self.cells(&[&self.name, &self.access, kind, asynchronous, proof])
    }

    fn parameters(&self) -> Result<String, CatalogueError> {
        if self.parameter.is_empty() {
            return self.cells(&[&self.name, "-", "-", "-", "-", "-", "-"]);
        }
        let row = |one: &WrittenParameter| {
            let required = one.required.as_deref().unwrap_or("unknown");
            let kind = one.kind.as_deref().unwrap_or("plain");
            let if_absent = one.if_absent.as_deref().unwrap_or("-");
            self.cells(&[&self.name, &one.field, &one.shape, required, kind, if_absent, "no"])
        };
        let rows: Result<Vec<String>, _> = self.parameter.iter().map(row).collect();
        Ok(rows?.join("\n"))
    }

    fn answer(&self) -> Result<String, CatalogueError> {
        match (&self.creates, &self.resource_type) {
            (None, _) => self.cells(&[&self.name, "-", "none", "-", "-"]),
            (Some(path), Some(kind)) => {
                let holds = if path.ends_with("[]") { "ids" } else { "id" };
                self.cells(&[&self.name, path, holds, kind, "created"])
            }
            (Some(_), None) => Err(self.fault("creates something, so name its `resource_type`")),
        }
    }

    /// A row of a table.
    fn cells(&self, cells: &[&str]) -> Result<String, CatalogueError> {
        if cells.iter().any(|cell| cell.contains(['\t', '\n', '\r'])) {
            return Err(self.fault("has a value with a tab or a line feed"));
        }
        Ok(cells.join("\t"))
    }

    fn fault(&self, what: &str) -> CatalogueError {
        let name: String = self.name.escape_debug().take(64).collect();
        CatalogueError::in_table(NAME, format!("`{name}` {what}"))
    }
}
