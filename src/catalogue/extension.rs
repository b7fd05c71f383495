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
/// When the file is not TOML of this form, or actions break rules of the tables: then all faults at once.
pub(crate) fn read(text: &str) -> Result<Vec<ActionRow>, CatalogueError> {
    let fault = |error: toml::de::Error| CatalogueError::in_table(NAME, error.to_string());
    let file: ActionsFile = toml::from_str(text).map_err(fault)?;
    let (mut rows, mut faults) = (Vec::<ActionRow>::new(), Vec::new());
    for action in file.action {
        let name: String = action.name.escape_debug().take(64).collect();
        match action.row() {
            Ok(row) if rows.iter().any(|one| one.is_the_same_as(&row)) => {
                let what = "appears twice: keep one of them".to_owned();
                faults.push(CatalogueError::in_table(NAME, what).of_action(&name));
            }
            Ok(row) => rows.push(row),
            Err(error) => faults.push(error.of_action(&name)),
        }
    }
    let all = faults.into_iter().reduce(|all, one| all.and(&one));
    all.map_or(Ok(rows), Err)
}

/// A known row with the parameters that a file adds. Everything else stays as the tables have it: policies, guards and records
/// rely on it. A row of another version of the action is the known one, for that version.
///
/// # Errors
/// Where the file contradicts the row.
pub(super) fn merged(known: &ActionRow, new: ActionRow) -> Result<ActionRow, CatalogueError> {
    let name = new.name.clone();
    let fault = |what: String| fault(&what).of_action(&name);
    if known.effect != new.effect {
        return Err(fault(format!(
            "the gateway knows it with `access = \"{}\"`: write that",
            known.effect.label()
        )));
    }
    if known.service != new.service {
        return Err(fault(format!("the gateway knows it at the service `{}`", known.service)));
    }
    let mut row = ActionRow { version: new.version, ..known.clone() };
    parameter::add_all(&mut row.parameters, new.parameters).map_err(fault)?;
    Ok(row)
}

impl WrittenAction {
    /// The row of the action, read as the tables are.
    fn row(self) -> Result<ActionRow, CatalogueError> {
        let service = self.service.as_deref().unwrap_or(ZEC);
        if action::service(service).is_none() {
            return Err(fault("is of no service, whose name has 1 to 16 lower-case letters"));
        }
        let version = match (self.version.as_deref(), service) {
            (None, ZEC) => LATEST,
            (Some(version), ZEC) if [LATEST, OLDER].contains(&version) => version,
            (_, ZEC) => return Err(fault("is of no version that the gateway sends")),
            (Some(version), _) if action::version(version).is_some() => version,
            _ => return Err(fault("needs the `version` of its service, as 2025-09-01")),
        };
        let is_name = |text: &str| {
            !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric())
        };
        if !is_name(&self.name) {
            return Err(fault("is no action's name, which has 1 to 64 letters and digits"));
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
        rows.into_iter().next().ok_or_else(|| fault("has no row"))
    }

    fn action(&self) -> Result<String, CatalogueError> {
        let kind = self.resource_type.as_deref().unwrap_or("catalog");
        let asynchronous = self.asynchronous.as_deref().unwrap_or("unknown");
        let proof = self.proof.as_deref().unwrap_or("-");
        cells(&[&self.name, &self.access, kind, asynchronous, proof])
    }

    fn parameters(&self) -> Result<String, CatalogueError> {
        if self.parameter.is_empty() {
            return cells(&[&self.name, "-", "-", "-", "-", "-", "-"]);
        }
        // Only an id with its kind is decided on, so nobody may forget to say it.
        let is_id = |one: &&WrittenParameter| {
            let name = one.field.trim_end_matches("[]");
            one.kind.is_none() && ["Id", "Ids", "IdList"].iter().any(|end| name.ends_with(end))
        };
        if let Some(one) = self.parameter.iter().find(is_id) {
            return Err(fault(&format!(
                "has `{}` without a `kind`: write `id:` and the type, such as `id:vpc`, or `plain` if it names no resource",
                one.field.escape_debug()
            )));
        }
        let row = |one: &WrittenParameter| {
            let required = one.required.as_deref().unwrap_or("unknown");
            let kind = one.kind.as_deref().unwrap_or("plain");
            let if_absent = one.if_absent.as_deref().unwrap_or("-");
            cells(&[&self.name, &one.field, &one.shape, required, kind, if_absent, "no"])
        };
        let rows: Result<Vec<String>, _> = self.parameter.iter().map(row).collect();
        Ok(rows?.join("\n"))
    }

    fn answer(&self) -> Result<String, CatalogueError> {
        match (&self.creates, &self.resource_type) {
            (None, _) => cells(&[&self.name, "-", "none", "-", "-"]),
            (Some(path), Some(kind)) => {
                let holds = if path.ends_with("[]") { "ids" } else { "id" };
                cells(&[&self.name, path, holds, kind, "created"])
            }
            (Some(_), None) => Err(fault("creates something, so name its `resource_type`")),
        }
    }
}

/// A row of a table.
fn cells(cells: &[&str]) -> Result<String, CatalogueError> {
    if cells.iter().any(|cell| cell.contains(['\t', '\n', '\r'])) {
        return Err(fault("has a value with a tab or a line feed"));
    }
    Ok(cells.join("\t"))
}

/// A fault of an action. Its name is added where the file is read.
fn fault(what: &str) -> CatalogueError {
    CatalogueError::in_table(NAME, what.to_owned())
}
