//! Reads the resources of a call, and what they lie in, for the policy and for the check of their tags.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{RequestContext, failure};
use crate::{
    catalogue::{Catalogue, ReadBy, ResourceRow},
    domain::{Described, Location, Resource},
    error::{Error, Problem},
    zec::Reader,
};

/// The most ids of one read, if ZEC documents no other limit.
const MOST: usize = 100;

/// The most reads for one request. Everything that lies in something lies in at most four things.
const MOST_READS: usize = 40;

/// The types whose resources outlive what they lie in: a snapshot is there after its disk is gone.
const OUTLIVE: [&str; 1] = ["snapshot"];

/// The type of images.
const IMAGE: &str = "image";

/// Where something lies that is gone.
static NOWHERE: [Vec<Resource>; 1] = [Vec::new()];

/// The resources that were read.
#[derive(Clone, Debug, Default)]
pub(super) struct Readings {
    /// Each with everything around it. A resource is left out if something that it lies in is not known.
    pub(super) whole: HashMap<Resource, Described>,
    /// The tags of every resource that ZEC showed.
    pub(super) tags: HashMap<Resource, BTreeMap<String, String>>,
}

impl Readings {
    /// Whether an action reads resources of this type by their ids, and shows their tags.
    pub(super) fn shows_tags(resource: &Resource) -> bool {
        let row = Catalogue::in_use().ok().and_then(|catalogue| catalogue.resource(&resource.kind));
        row.is_some_and(|row| {
            row.has_tags && row.read_by.as_ref().is_some_and(|read| read.also.is_none())
        })
    }

    /// Adds the images that ZEC did not show among the team's own: they are ZEC's public ones, which lie in nothing.
    fn add_public_images(&mut self, named: Vec<Resource>) {
        for resource in named.into_iter().filter(|one| one.kind == IMAGE) {
            if !self.tags.contains_key(&resource) {
                self.whole.insert(resource.clone(), Described::without_place(resource));
            }
        }
    }
}

/// Reads these resources and what they lie in. What ZEC does not show, what lies in something that ZEC does not show, and
/// what no action reads by its id is left out.
///
/// # Errors
/// When ZEC cannot be read, or the resources are too many.
pub(super) async fn read(
    reader: &Reader,
    wanted: Vec<Resource>,
    context: RequestContext<'_>,
) -> Result<Readings, Error> {
    let catalogue = Catalogue::in_use().map_err(|error| {
        Error::new(Problem::Internal, "the catalogue is broken").with_cause(error)
    })?;
    let mut seen: HashSet<Resource> = HashSet::new();
    let mut found: HashMap<Resource, (Described, Location)> = HashMap::new();
    let named = wanted.clone();
    let (mut waiting, mut reads) = (wanted, 0);
    while !waiting.is_empty() {
        let mut parents = Vec::new();
        for (row, read_by, ids) in by_type(catalogue, std::mem::take(&mut waiting), &mut seen) {
            for ids in ids.chunks(read_by.most.unwrap_or(MOST).min(MOST)) {
                reads += 1;
                if reads > MOST_READS {
                    return Err(Error::invalid(
                        "the call names more resources than the gateway reads for a decision: \
                         name fewer in one call",
                    ));
                }
                for (described, location) in describe(reader, row, read_by, ids, context).await? {
                    parents.extend(location.parents.iter().flatten().cloned());
                    found.insert(described.resource.clone(), (described, location));
                }
            }
        }
        waiting = parents;
    }
    let tags = found.iter().map(|(resource, (one, _))| (resource.clone(), one.tags.clone()));
    let mut readings = Readings { tags: tags.collect(), whole: with_lineages(found) };
    readings.add_public_images(named);
    Ok(readings)
}

/// The resources that were not seen yet, by their types, and how those are read. A type whose read needs more than ids is
/// left out.
fn by_type(
    catalogue: &'static Catalogue,
    resources: Vec<Resource>,
    seen: &mut HashSet<Resource>,
) -> Vec<(&'static ResourceRow, &'static ReadBy, Vec<String>)> {
    let mut groups: Vec<(&ResourceRow, &ReadBy, Vec<String>)> = Vec::new();
    for resource in resources {
        if !seen.insert(resource.clone()) {
            continue;
        }
        let row = catalogue.resource(&resource.kind);
        let Some((row, read_by)) = row.and_then(|row| Some((row, row.read_by.as_ref()?))) else {
            continue;
        };
        if read_by.also.is_some() {
            continue;
        }
        match groups.iter_mut().find(|(known, ..)| known.kind == row.kind) {
            Some((.., ids)) => ids.push(resource.id),
            None => groups.push((row, read_by, vec![resource.id])),
        }
    }
    groups
}

async fn describe(
    reader: &Reader,
    row: &'static ResourceRow,
    read_by: &'static ReadBy,
    ids: &[String],
    context: RequestContext<'_>,
) -> Result<Vec<(Described, Location)>, Error> {
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let (record, after) = (context.record, context.record.elapsed());
    let read = Box::pin(reader.describe(context.caller.id(), row, &ids, context.deadline)).await;
    super::record::called(record, &read_by.action, after, None, read.as_ref().err());
    read.map_err(|failure| failure::of_a_read(&failure))
}

/// Gives each resource its lineages. A resource is left out if something that it lies in is not known: a policy about that
/// would not see it.
fn with_lineages(
    mut found: HashMap<Resource, (Described, Location)>,
) -> HashMap<Resource, Described> {
    let mut done: HashMap<Resource, Described> = HashMap::new();
    loop {
        let mut ready = Vec::new();
        for (resource, (described, location)) in &found {
            let lineages = if described.nic.is_some() {
                Ok(vec![Vec::new()])
            } else {
                let outlives = OUTLIVE.contains(&resource.kind.as_str());
                let gone = |parent: &Resource| outlives && !found.contains_key(parent);
                location.lineages(|parent| match done.get(parent) {
                    Some(known) => Some(known.lineages.as_slice()),
                    None => gone(parent).then_some(NOWHERE.as_slice()),
                })
            };
            if let Ok(lineages) = lineages {
                ready.push((resource.clone(), lineages));
            }
        }
        if ready.is_empty() {
            return done;
        }
        for (resource, lineages) in ready {
            if let Some((described, _)) = found.remove(&resource) {
                done.insert(resource, Described { lineages, ..described });
            }
        }
    }
}
