//! Builds Cedar's requests: caller, action, vNIC, address. It uses the values of Cedar's own evaluator, from
//! `cedar-policy-core`. The outer crate would parse each address together with its function's name, and check each
//! request for cycles among entities that have none. A property test (`tests/slicing.rs`) compares both.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt::Display,
    net::Ipv4Addr,
    str::FromStr,
    sync::Arc,
};

use cedar_policy::{EntityUid, Schema};
use cedar_policy_core::{
    ast::{
        Context, Eid, Entity, EntityType, EntityUID, EntityUIDEntry, ExtensionFunction, Name,
        PartialValue, Request, Value,
    },
    entities::{Entities, NoEntitiesSchema, TCComputation},
    extensions::Extensions,
};

use super::{authorization_request::AuthorizationRequest, looks::Needs};
use crate::{
    domain::{Action, Caller, Nic, NicId},
    error::Fault,
};

/// The schema for policies.
pub(super) const SCHEMA: &str = include_str!("schema.cedarschema");

/// The schema's names in parsed form, so that no request has to parse them.
#[derive(Debug)]
pub(super) struct Vocabulary {
    pub(super) schema: Schema,
    caller: EntityType,
    group: EntityType,
    nic: EntityType,
    resource_group: EntityType,
    subnet: EntityType,
    vpc: EntityType,
    region: EntityType,
    actions: HashMap<Action, ActionNames>,
    read_operations: ActionNames,
    journal: EntityUID,
    /// Cedar's `ip("...")`.
    ip: &'static ExtensionFunction,
}

#[derive(Debug)]
struct ActionNames {
    uid: EntityUid,
    with_groups: Vec<EntityUid>,
    /// The action and its groups, which is all that `action in ...` needs.
    entities: Vec<Entity>,
}

/// Why a value of the vocabulary could not be built: a bug or a hostile name. It is never ignored.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct VocabularyError(String);

impl Vocabulary {
    pub(super) fn new() -> Result<Self, Fault> {
        let fault = |error: &dyn std::error::Error| {
            Fault::new(format!("the compiled-in schema is broken: {error}"))
        };
        let (schema, _warnings) =
            Schema::from_cedarschema_str(SCHEMA).map_err(|error| fault(&error))?;
        let kind = |name: &str| EntityType::from_str(name).map_err(|error| fault(&error));
        let ip = Name::from_str("ip").map_err(|error| fault(&error))?;
        let ip = Extensions::all_available().func(&ip).map_err(|error| fault(&error))?;
        let mut actions = HashMap::new();
        for action in Action::ALL {
            let names = action_names(&schema, action.name()).map_err(|error| fault(&error))?;
            actions.insert(action, names);
        }
        Ok(Self {
            caller: kind("Zec::Caller")?,
            group: kind("Zec::Group")?,
            nic: kind("Zec::Nic")?,
            resource_group: kind("Zec::ResourceGroup")?,
            subnet: kind("Zec::Subnet")?,
            vpc: kind("Zec::Vpc")?,
            region: kind("Zec::Region")?,
            journal: uid(&kind("Zec::Journal")?, "operations"),
            read_operations: action_names(&schema, "ReadOperations")
                .map_err(|error| fault(&error))?,
            schema,
            actions,
            ip,
        })
    }

    /// An action, and the entities of the action and its groups.
    #[expect(clippy::indexing_slicing, reason = "`new` puts every action in")]
    pub(super) fn action_and_groups(&self, action: Action) -> (&EntityUid, &[EntityUid]) {
        let names = &self.actions[&action];
        (&names.uid, &names.with_groups)
    }

    /// The action of seeing everyone's operations.
    pub(super) fn read_operations(&self) -> &EntityUid {
        &self.read_operations.uid
    }

    /// The request whether the caller may see everyone's operations, with all its data.
    pub(super) fn about_the_journal(
        &self,
        caller: &Caller,
        relevant: impl Fn(&str) -> bool,
    ) -> Result<(Request, Entities), VocabularyError> {
        let journal = Entity::with_uid(self.journal.clone());
        let known = self.read_operations.entities.iter().cloned();
        let entities = known.chain([self.caller_entity(caller, true, relevant), journal]);
        let request = Request::new_unchecked(
            known_uid(uid(&self.caller, caller.id())),
            known_uid(self.read_operations.uid.as_ref().clone()),
            known_uid(self.journal.clone()),
            Some(Context::empty()),
        );
        Ok((request, together(entities)?))
    }

    /// The entities of a request, as far as they are needed: the action with its groups, the caller with the groups
    /// that `relevant` selects, and the vNIC, with its data if it was read.
    #[expect(clippy::indexing_slicing, reason = "`new` puts every action in")]
    pub(super) fn entities(
        &self,
        action: Action,
        needs: Needs,
        (caller, relevant): (&Caller, impl Fn(&str) -> bool),
        (nic, data): (&NicId, Option<&Nic>),
    ) -> Result<Entities, VocabularyError> {
        let caller = self.caller_entity(caller, needs.caller, relevant);
        let nic = match (needs.nic, data) {
            (false, _) => None,
            (true, Some(data)) => Some(self.nic_entity(data)?),
            (true, None) => Some(self.unread_nic(nic)),
        };
        let known: &[Entity] = if needs.action { &self.actions[&action].entities } else { &[] };
        together(known.iter().cloned().chain([caller]).chain(nic))
    }

    /// The request without the address.
    pub(super) fn question(
        &self,
        operation: &impl AuthorizationRequest,
        caller: &Caller,
    ) -> CedarQuery<'_> {
        CedarQuery {
            vocabulary: self,
            caller: known_uid(uid(&self.caller, caller.id())),
            action: known_uid(self.action_and_groups(operation.action()).0.as_ref().clone()),
            nic: known_uid(uid(&self.nic, operation.nic().as_str())),
            dry_run: operation.is_dry_run(),
        }
    }

    fn address(&self, address: Ipv4Addr) -> Result<Value, VocabularyError> {
        let text = Value::from(address.to_string());
        match self.ip.call(&[text]).map_err(unspeakable)? {
            PartialValue::Value(value) => Ok(value),
            PartialValue::Residual(rest) => Err(unspeakable(rest)),
        }
    }

    fn caller_entity(
        &self,
        caller: &Caller,
        with_attributes: bool,
        relevant: impl Fn(&str) -> bool,
    ) -> Entity {
        let groups = caller.group_ids().filter(|id| relevant(id)).map(|id| uid(&self.group, id));
        let attributes = [("issuer", caller.issuer()), ("subject", caller.subject())];
        let count = if with_attributes { attributes.len() } else { 0 };
        Entity::new_with_attr_partial_value(
            uid(&self.caller, caller.id()),
            attributes.into_iter().take(count).map(|(name, value)| (name.into(), text(value))),
            HashSet::new(),
            groups.collect(),
            [],
        )
    }

    fn unread_nic(&self, nic: &NicId) -> Entity {
        let attributes = [("id".into(), text(nic.as_str()))];
        let name = uid(&self.nic, nic.as_str());
        let (none, parents) = (HashSet::new(), HashSet::new());
        Entity::new_with_attr_partial_value(name, attributes, none, parents, [])
    }

    fn nic_entity(&self, nic: &Nic) -> Result<Entity, VocabularyError> {
        let mut attributes = vec![
            ("id", text(nic.id.as_str())),
            ("name", text(&nic.name)),
            ("status", text(&nic.status)),
            ("nicType", text(&nic.nic_type)),
            ("attached", Value::from(nic.attached).into()),
            ("hasPublicIp", Value::from(nic.has_public_ip).into()),
        ];
        if let Some(primary) = nic.primary_ipv4 {
            attributes.push(("primaryIpv4", self.address(primary)?.into()));
        }
        let mut parents = HashSet::from([
            uid(&self.subnet, &nic.subnet),
            uid(&self.vpc, &nic.vpc),
            uid(&self.region, &nic.region),
        ]);
        parents.extend(nic.resource_group.as_deref().map(|id| uid(&self.resource_group, id)));
        Ok(Entity::new_with_attr_partial_value(
            uid(&self.nic, nic.id.as_str()),
            attributes.into_iter().map(|(name, value)| (name.into(), value)),
            HashSet::new(),
            parents,
            nic.tags.iter().map(|(key, value)| (key.as_str().into(), text(value))),
        ))
    }
}

/// The caller, action and vNIC of a request, which are the same for every address.
#[derive(Debug)]
pub(super) struct CedarQuery<'a> {
    vocabulary: &'a Vocabulary,
    caller: EntityUIDEntry,
    action: EntityUIDEntry,
    nic: EntityUIDEntry,
    dry_run: bool,
}

impl CedarQuery<'_> {
    /// The request for one of this many addresses, or for the vNIC itself.
    pub(super) fn about(
        &self,
        address: Option<(Ipv4Addr, usize)>,
    ) -> Result<Request, VocabularyError> {
        let mut context = BTreeMap::from([("dryRun".into(), Value::from(self.dry_run))]);
        if let Some((address, count)) = address {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            context.insert("address".into(), self.vocabulary.address(address)?);
            context.insert("addressCount".into(), Value::from(count));
        }
        let Self { caller, action, nic, .. } = self;
        let context = Some(Context::Value(Arc::new(context)));
        // Not checked against the schema: the policies were checked when they were loaded.
        Ok(Request::new_unchecked(caller.clone(), action.clone(), nic.clone(), context))
    }
}

/// Combines entities of which each lists all its ancestors itself. Callers and vNICs are one step below their parents,
/// and the schema's actions list all their groups.
fn together(entities: impl Iterator<Item = Entity>) -> Result<Entities, VocabularyError> {
    let extensions = Extensions::all_available();
    let closed = TCComputation::AssumeAlreadyComputed;
    Entities::from_entities(entities, None::<&NoEntitiesSchema>, closed, extensions)
        .map_err(unspeakable)
}

fn action_names(schema: &Schema, name: &str) -> Result<ActionNames, VocabularyError> {
    let uid = EntityUid::from_str(&format!("Zec::Action::\"{name}\"")).map_err(unspeakable)?;
    let all = schema.action_entities().map_err(unspeakable)?;
    let groups = all.ancestors(&uid).into_iter().flatten().cloned();
    let with_groups: Vec<EntityUid> = groups.chain([uid.clone()]).collect();
    let needed = all.iter().filter(|entity| with_groups.contains(&entity.uid()));
    let entities = needed.map(|entity| entity.as_ref().clone()).collect();
    Ok(ActionNames { uid, with_groups, entities })
}

fn uid(kind: &EntityType, id: &str) -> EntityUID {
    EntityUID::from_components(kind.clone(), Eid::new(id), None)
}

fn known_uid(uid: EntityUID) -> EntityUIDEntry {
    EntityUIDEntry::known(uid, None)
}

fn text(value: &str) -> PartialValue {
    Value::from(value).into()
}

fn unspeakable(error: impl Display) -> VocabularyError {
    VocabularyError(error.to_string())
}
