//! Builds Cedar's requests: caller, action, resource, address. It uses the values of Cedar's own evaluator, from
//! `cedar-policy-core`. The outer crate would parse each address together with its function's name, and check each
//! request for cycles among entities that have none. A property test (`tests/slicing.rs`) compares both.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::Ipv4Addr,
    str::FromStr,
    sync::{Arc, OnceLock},
    time::SystemTime,
};

use cedar_policy::EntityUid;
use cedar_policy_core::{
    ast::{Context, Entity, EntityType, EntityUID, EntityUIDEntry, PartialValue, Request, Value},
    entities::{Entities, NoEntitiesSchema, TCComputation},
    extensions::Extensions,
};

use super::{
    authorization_request::AuthorizationRequest,
    context::{Makers, RequestValues},
    looks::Needs,
    names::{ActionNames, FastHash, Types, VocabularyError, action_names, uid, unspeakable},
    requester::Requester,
    schema::{self, type_name},
    subject::Subject,
};
use crate::{
    catalogue::{Catalogue, Parameter, ResourceType},
    domain::{Caller, Described, Nic, Resource},
    error::Fault,
};

/// The id of the record of all operations, of which every account has one.
const JOURNAL: &str = "operations";

/// The schema's names in parsed form, so that no request has to parse them.
#[derive(Debug)]
pub(super) struct Vocabulary {
    caller: EntityType,
    group: EntityType,
    nic: EntityType,
    resource_group: EntityType,
    subnet: EntityType,
    vpc: EntityType,
    region: EntityType,
    account: EntityUID,
    journal: EntityUID,
    types: Types,
    actions: Vec<ActionNames>,
    numbers: HashMap<String, usize, FastHash>,
    read_operations: ActionNames,
    makers: Makers,
}

impl Vocabulary {
    /// The vocabulary of the catalogue in use. It is made once.
    pub(super) fn in_use() -> Result<Arc<Self>, Fault> {
        static IN_USE: OnceLock<Result<Arc<Vocabulary>, String>> = OnceLock::new();
        let make = || {
            let catalogue = Catalogue::in_use().map_err(|error| error.to_string())?;
            Self::new(catalogue).map(Arc::new)
        };
        IN_USE
            .get_or_init(make)
            .clone()
            .map_err(|why| Fault::new(format!("the schema of the catalogue is broken: {why}")))
    }

    fn new(catalogue: &Catalogue) -> Result<Self, String> {
        let named = |name: &str| EntityType::from_str(name).map_err(|error| error.to_string());
        let mut types = HashMap::default();
        for kind in schema::kinds(catalogue) {
            let name = named(&format!("Zec::{}", type_name(&kind)))?;
            types.insert(kind, name);
        }
        let own = |kind: &str| types.get(kind).cloned().ok_or_else(|| format!("no type `{kind}`"));
        let mut actions = Vec::new();
        let mut numbers = HashMap::default();
        for action in schema::actions(catalogue) {
            numbers.insert(action.name.clone(), actions.len());
            actions.push(action_names(&action.name, &action.groups, action.parameters)?);
        }
        Ok(Self {
            caller: named("Zec::Caller")?,
            group: named("Zec::Group")?,
            nic: own(ResourceType::NIC)?,
            resource_group: own(ResourceType::RESOURCE_GROUP)?,
            subnet: own("subnet")?,
            vpc: own("vpc")?,
            region: own(ResourceType::REGION)?,
            account: uid(&named("Zec::Account")?, Resource::ACCOUNT_ID),
            journal: uid(&named("Zec::Journal")?, JOURNAL),
            read_operations: action_names("ReadOperations", &[], Vec::new())?,
            types: Types::new(types),
            actions,
            numbers,
            makers: Makers::new()?,
        })
    }

    /// The number of an action, for the index; `None` if no policy can name it.
    pub(super) fn number(&self, action: &str) -> Option<usize> {
        self.numbers.get(action).copied()
    }

    /// Each action with its groups, by number.
    pub(super) fn actions_and_groups(&self) -> impl Iterator<Item = (&EntityUid, &[EntityUid])> {
        self.actions.iter().map(|names| (&names.uid, names.with_groups.as_slice()))
    }

    /// The same, with the action's parameters.
    pub(super) fn actions_and_parameters(
        &self,
    ) -> impl Iterator<Item = (&EntityUid, &[EntityUid], &[Parameter])> {
        self.actions
            .iter()
            .map(|names| (&names.uid, names.with_groups.as_slice(), names.parameters.as_slice()))
    }

    /// The action of seeing everyone's operations.
    pub(super) fn read_operations(&self) -> &EntityUid {
        &self.read_operations.uid
    }

    fn action(&self, name: &str) -> Result<&ActionNames, VocabularyError> {
        let names = self.number(name).and_then(|number| self.actions.get(number));
        names.ok_or_else(|| VocabularyError::new(format!("no policy can name the action `{name}`")))
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

    /// The entities of a question, as far as they are needed: the action with its groups, the caller with the groups
    /// that `relevant` selects, the subject, and the entities beside it.
    pub(super) fn entities(
        &self,
        action: &str,
        needs: Needs,
        (caller, relevant): (&Caller, impl Fn(&str) -> bool),
        subject: Subject<'_>,
        beside: &[Entity],
    ) -> Result<Entities, VocabularyError> {
        let caller = self.caller_entity(caller, needs.caller, relevant);
        let own = if needs.resource { Some(self.subject_entity(subject)?) } else { None };
        let known: &[Entity] = if needs.action { &self.action(action)?.entities } else { &[] };
        let subject = own.as_ref().map(|entity| entity.uid().clone());
        let beside = beside.iter().filter(|entity| Some(entity.uid()) != subject.as_ref());
        let mut all = Vec::with_capacity(known.len() + 2);
        all.extend_from_slice(known);
        all.extend([caller].into_iter().chain(own));
        all.extend(beside.cloned());
        together(all)
    }

    /// The other resources of a request that were read, as entities in the context. A resource with several lineages is in
    /// everything that one of them has, or in what all of them have: a question is asked with both.
    pub(super) fn beside<'a>(
        &self,
        others: impl Iterator<Item = &'a Described>,
        in_any: bool,
    ) -> Result<Vec<Entity>, VocabularyError> {
        let each = others.map(|other| {
            let mut lineages = other.lineages.iter();
            let mut within = lineages.next().cloned().unwrap_or_default();
            for lineage in lineages {
                if in_any {
                    within.extend(lineage.iter().cloned());
                } else {
                    within.retain(|one| lineage.contains(one));
                }
            }
            self.described_entity(other, &within)
        });
        each.collect()
    }

    /// The question without the subject and the address.
    pub(super) fn question(
        &self,
        operation: &impl AuthorizationRequest,
        requester: Requester<'_>,
        needs: Needs,
    ) -> Result<CedarQuery<'_>, VocabularyError> {
        let action = self.action(operation.action())?;
        let made = if needs.context {
            let now =
                humantime::format_rfc3339_seconds(requester.now.unwrap_or_else(SystemTime::now));
            let request = RequestValues { makers: &self.makers, types: &self.types };
            let request = request.record(&action.parameters, &operation.arguments())?;
            Some((Value::from(requester.via.label()), self.makers.datetime(now)?, request))
        } else {
            None
        };
        Ok(CedarQuery {
            vocabulary: self,
            caller: known_uid(uid(&self.caller, requester.caller.id())),
            action: known_uid(action.uid.as_ref().clone()),
            dry_run: operation.is_dry_run(),
            made,
        })
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

    pub(super) fn subject_uid(&self, subject: Subject<'_>) -> Result<EntityUID, VocabularyError> {
        match subject {
            Subject::Account => Ok(self.account.clone()),
            Subject::Nic(id, _) | Subject::UnreadableNic(id) => Ok(uid(&self.nic, id.as_str())),
            Subject::Unread(resource) | Subject::Unreadable(resource) => {
                self.types.uid(&resource.kind, &resource.id)
            }
            Subject::Read(described, _) => {
                self.types.uid(&described.resource.kind, &described.resource.id)
            }
        }
    }

    fn subject_entity(&self, subject: Subject<'_>) -> Result<Entity, VocabularyError> {
        match subject {
            Subject::Account => Ok(Entity::with_uid(self.account.clone())),
            Subject::Nic(_, Some(nic)) => self.nic_entity(nic),
            Subject::Nic(id, None) | Subject::UnreadableNic(id) => {
                Ok(unread(uid(&self.nic, id.as_str()), id.as_str()))
            }
            Subject::Unread(resource) | Subject::Unreadable(resource) => {
                Ok(unread(self.subject_uid(subject)?, &resource.id))
            }
            Subject::Read(described, lineage) => self.described_entity(described, lineage),
        }
    }

    fn described_entity(
        &self,
        described: &Described,
        lineage: &[Resource],
    ) -> Result<Entity, VocabularyError> {
        if let Some(nic) = &described.nic {
            return self.nic_entity(nic);
        }
        let parents = lineage.iter().map(|parent| self.types.uid(&parent.kind, &parent.id));
        let mut attributes = vec![("id", described.resource.id.as_str())];
        attributes.extend(described.name.as_deref().map(|name| ("name", name)));
        attributes.extend(described.status.as_deref().map(|status| ("status", status)));
        Ok(Entity::new_with_attr_partial_value(
            self.types.uid(&described.resource.kind, &described.resource.id)?,
            attributes.into_iter().map(|(name, value)| (name.into(), text(value))),
            HashSet::new(),
            parents.collect::<Result<_, _>>()?,
            described.tags.iter().map(|(key, value)| (key.as_str().into(), text(value))),
        ))
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
            attributes.push(("primaryIpv4", self.makers.ip(primary)?.into()));
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

/// The caller, action and context of a request, which are the same for every subject and address.
#[derive(Debug)]
pub(super) struct CedarQuery<'a> {
    vocabulary: &'a Vocabulary,
    caller: EntityUIDEntry,
    action: EntityUIDEntry,
    dry_run: bool,
    /// The members of the context that have to be made: `via`, `now` and `request`.
    made: Option<(Value, Value, Value)>,
}

impl CedarQuery<'_> {
    /// The request about a subject, for one of this many addresses or for the subject itself.
    pub(super) fn about(
        &self,
        subject: &EntityUID,
        address: Option<(Ipv4Addr, usize)>,
    ) -> Result<Request, VocabularyError> {
        let dry_run = ("dryRun".into(), Value::from(self.dry_run));
        let mut context = match address {
            Some((address, count)) => BTreeMap::from([
                dry_run,
                ("address".into(), self.vocabulary.makers.ip(address)?),
                ("addressCount".into(), Value::from(i64::try_from(count).unwrap_or(i64::MAX))),
            ]),
            None => BTreeMap::from([dry_run]),
        };
        if let Some((via, now, request)) = &self.made {
            let made = [("via", via), ("now", now), ("request", request)];
            context.extend(made.map(|(name, value)| (name.into(), value.clone())));
        }
        let context = Some(Context::Value(Arc::new(context)));
        let (resource, Self { caller, action, .. }) = (known_uid(subject.clone()), self);
        // Not checked against the schema: the policies were checked when they were loaded.
        Ok(Request::new_unchecked(caller.clone(), action.clone(), resource, context))
    }
}

/// Combines entities of which each lists all its ancestors itself. Callers and resources are one step below their
/// parents, and the schema's actions list all their groups.
fn together(entities: impl IntoIterator<Item = Entity>) -> Result<Entities, VocabularyError> {
    let extensions = Extensions::all_available();
    let closed = TCComputation::AssumeAlreadyComputed;
    Entities::from_entities(entities, None::<&NoEntitiesSchema>, closed, extensions)
        .map_err(unspeakable)
}

/// A resource without its data.
fn unread(name: EntityUID, id: &str) -> Entity {
    let attributes = [("id".into(), text(id))];
    Entity::new_with_attr_partial_value(name, attributes, HashSet::new(), HashSet::new(), [])
}

fn known_uid(uid: EntityUID) -> EntityUIDEntry {
    EntityUIDEntry::known(uid, None)
}

fn text(value: &str) -> PartialValue {
    Value::from(value).into()
}
