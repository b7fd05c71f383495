use std::{
    collections::{HashMap, HashSet},
    net::Ipv4Addr,
    str::FromStr,
};

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression,
    Schema,
};

use super::{engine::Ask, looks::Needs};
use crate::{
    domain::{Action, Caller, Nic, NicId},
    error::Fault,
};

/// The schema that policies are written against.
pub(super) const SCHEMA: &str = include_str!("schema.cedarschema");

/// The schema's names, ready to be used: nothing is parsed while a request waits.
#[derive(Debug)]
pub(super) struct Vocabulary {
    pub(super) schema: Schema,
    caller: EntityTypeName,
    group: EntityTypeName,
    nic: EntityTypeName,
    resource_group: EntityTypeName,
    subnet: EntityTypeName,
    vpc: EntityTypeName,
    region: EntityTypeName,
    actions: HashMap<Action, ActionNames>,
    read_operations: ActionNames,
    journal: EntityUid,
}

#[derive(Debug)]
struct ActionNames {
    uid: EntityUid,
    with_groups: Vec<EntityUid>,
    /// The action and its groups: all that `action in ...` needs.
    entities: Entities,
}

/// What a value of the vocabulary could not be made of; a bug or a hostile name, never silent.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unspeakable(String);

impl Vocabulary {
    pub(super) fn new() -> Result<Self, Fault> {
        let fault = |error: &dyn std::error::Error| {
            Fault::new(format!("the compiled-in schema is broken: {error}"))
        };
        let (schema, _warnings) =
            Schema::from_cedarschema_str(SCHEMA).map_err(|error| fault(&error))?;
        let kind = |name: &str| EntityTypeName::from_str(name).map_err(|error| fault(&error));
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
        })
    }

    /// An action, and it with its groups.
    #[expect(clippy::indexing_slicing, reason = "`new` puts every action in")]
    pub(super) fn action_and_groups(&self, action: Action) -> (&EntityUid, &[EntityUid]) {
        let names = &self.actions[&action];
        (&names.uid, &names.with_groups)
    }

    /// The action of seeing everyone's operations.
    pub(super) fn read_operations(&self) -> &EntityUid {
        &self.read_operations.uid
    }

    /// The question whether the caller may see everyone's operations, with all its data.
    pub(super) fn about_the_journal(
        &self,
        caller: &Caller,
        relevant: impl Fn(&str) -> bool,
    ) -> Result<(Request, Entities), Unspeakable> {
        let journal = Entity::new_no_attrs(self.journal.clone(), HashSet::new());
        let known = self.read_operations.entities.clone();
        let entities = known
            .add_entities([self.caller_entity(caller, true, relevant)?, journal], None)
            .map_err(unspeakable)?;
        let principal = uid(&self.caller, caller.id());
        let (action, journal) = (self.read_operations.uid.clone(), self.journal.clone());
        let request = Request::new(principal, action, journal, Context::empty(), None);
        Ok((request.map_err(unspeakable)?, entities))
    }

    /// The data of a request, as far as it is needed: the action in its groups, the caller in
    /// those of its groups that `relevant` picks, and the vNIC, with its data where it was read.
    #[expect(clippy::indexing_slicing, reason = "`new` puts every action in")]
    pub(super) fn entities(
        &self,
        action: Action,
        needs: Needs,
        (caller, relevant): (&Caller, impl Fn(&str) -> bool),
        (nic, data): (&NicId, Option<&Nic>),
    ) -> Result<Entities, Unspeakable> {
        let caller = self.caller_entity(caller, needs.caller, relevant)?;
        let nic = match (needs.nic, data) {
            (false, _) => None,
            (true, Some(data)) => Some(self.nic_entity(data)?),
            (true, None) => Some(self.unread_nic(nic)?),
        };
        let known =
            if needs.action { self.actions[&action].entities.clone() } else { Entities::empty() };
        known.add_entities([caller].into_iter().chain(nic), None).map_err(unspeakable)
    }

    /// The question about one address, or about the vNIC itself.
    pub(super) fn request(
        &self,
        operation: &impl Ask,
        caller: &Caller,
        address: Option<(Ipv4Addr, usize)>,
    ) -> Result<Request, Unspeakable> {
        let dry_run = RestrictedExpression::new_bool(operation.is_dry_run());
        let mut pairs = vec![("dryRun".to_owned(), dry_run)];
        if let Some((address, count)) = address {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            pairs.push(("address".to_owned(), RestrictedExpression::new_ip(address.to_string())));
            pairs.push(("addressCount".to_owned(), RestrictedExpression::new_long(count)));
        }
        Request::new(
            uid(&self.caller, caller.id()),
            self.action_and_groups(operation.action()).0.clone(),
            uid(&self.nic, operation.nic().as_str()),
            Context::from_pairs(pairs).map_err(unspeakable)?,
            // The policies were validated when they were loaded.
            None,
        )
        .map_err(unspeakable)
    }

    fn caller_entity(
        &self,
        caller: &Caller,
        with_attributes: bool,
        relevant: impl Fn(&str) -> bool,
    ) -> Result<Entity, Unspeakable> {
        let groups = caller.group_ids().filter(|id| relevant(id)).map(|id| uid(&self.group, id));
        let name = uid(&self.caller, caller.id());
        if !with_attributes {
            return Ok(Entity::new_no_attrs(name, groups.collect()));
        }
        let attributes = [("issuer", caller.issuer()), ("subject", caller.subject())];
        Entity::new(
            name,
            attributes.map(|(name, value)| (name.to_owned(), text(value))).into(),
            groups.collect(),
        )
        .map_err(unspeakable)
    }

    fn unread_nic(&self, nic: &NicId) -> Result<Entity, Unspeakable> {
        let attributes = [("id".to_owned(), text(nic.as_str()))];
        Entity::new(uid(&self.nic, nic.as_str()), attributes.into(), [].into()).map_err(unspeakable)
    }

    fn nic_entity(&self, nic: &Nic) -> Result<Entity, Unspeakable> {
        let mut attributes = vec![
            ("id", text(nic.id.as_str())),
            ("name", text(&nic.name)),
            ("status", text(&nic.status)),
            ("nicType", text(&nic.nic_type)),
            ("attached", RestrictedExpression::new_bool(nic.attached)),
            ("hasPublicIp", RestrictedExpression::new_bool(nic.has_public_ip)),
        ];
        if let Some(primary) = nic.primary_ipv4 {
            attributes.push(("primaryIpv4", RestrictedExpression::new_ip(primary.to_string())));
        }
        let mut parents = vec![
            uid(&self.subnet, &nic.subnet),
            uid(&self.vpc, &nic.vpc),
            uid(&self.region, &nic.region),
        ];
        parents.extend(nic.resource_group.as_deref().map(|id| uid(&self.resource_group, id)));
        Entity::new_with_tags(
            uid(&self.nic, nic.id.as_str()),
            attributes.into_iter().map(|(name, value)| (name.to_owned(), value)),
            parents,
            nic.tags.iter().map(|(key, value)| (key.clone(), text(value))),
        )
        .map_err(unspeakable)
    }
}

fn action_names(schema: &Schema, name: &str) -> Result<ActionNames, Unspeakable> {
    let uid = EntityUid::from_str(&format!("Zec::Action::\"{name}\"")).map_err(unspeakable)?;
    let all = schema.action_entities().map_err(unspeakable)?;
    let groups = all.ancestors(&uid).into_iter().flatten().cloned();
    let with_groups: Vec<EntityUid> = groups.chain([uid.clone()]).collect();
    let needed = all.iter().filter(|entity| with_groups.contains(&entity.uid())).cloned();
    let entities = Entities::from_entities(needed, None).map_err(unspeakable)?;
    Ok(ActionNames { uid, with_groups, entities })
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

fn text(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}

fn unspeakable(error: impl std::fmt::Display) -> Unspeakable {
    Unspeakable(error.to_string())
}
