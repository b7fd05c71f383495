//! Reads the resources of a call, and what they lie in, for the policy and for the check of their tags.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures_util::{FutureExt, future::try_join_all};

use super::{RequestContext, failure};
use crate::{
    catalogue::{Catalogue, ReadBy, ResourceRow},
    domain::{ActionCall, Described, Location, Resource, Target},
    error::Error,
    limit::Live,
    zec::Reader,
};

/// The most reads for one request. Everything that lies in something lies in at most four things.
const MOST_READS: usize = 40;

/// The most reads of one request at once. They count together as one request of the caller. A resource whose type is
/// unsaid is asked for as each type.
const AT_ONCE: usize = 8;

/// The types whose resources outlive what they lie in: a snapshot is there after its disk is gone.
const OUTLIVE: [&str; 1] = ["snapshot"];

/// The type of images.
const IMAGE: &str = "image";

/// Where something lies that is gone.
static NOWHERE: [Vec<Resource>; 1] = [Vec::new()];

/// The resources that were read.
#[derive(Clone, Debug, Default)]
pub(super) struct Readings {
    /// Each with everything around it. A resource has no lineage if something that it lies in is not known.
    pub(super) whole: HashMap<Resource, Described>,
    /// The tags of every resource that ZEC showed.
    pub(super) tags: HashMap<Resource, BTreeMap<String, String>>,
}

impl Readings {
    /// Whether ZEC showed it.
    pub(super) fn shows(&self, resource: &Resource) -> bool {
        self.tags.contains_key(resource)
    }

    /// The resource as ZEC showed it.
    pub(super) fn shown(&self, resource: &Resource) -> Option<&Described> {
        self.whole.get(resource).filter(|_| self.shows(resource))
    }

    /// Whether an action reads resources of this type by their ids, and shows their tags.
    pub(super) fn shows_tags(resource: &Resource) -> bool {
        let row = Catalogue::in_use().ok().and_then(|catalogue| catalogue.resource(&resource.kind));
        row.is_some_and(|row| {
            row.has_tags && row.read_by.as_ref().is_some_and(|read| read.also.is_none())
        })
    }

    /// Adds the images that ZEC did not show among the team's own: they are ZEC's public ones, which lie in nothing. An id
    /// that may be something else is not taken for one.
    fn add_public_images(&mut self, call: &ActionCall) {
        for target in call.targets() {
            if let Target::OneOf(resources) = target
                && let [resource] = resources.as_slice()
                && resource.kind == IMAGE
                && !self.shows(resource)
            {
                let image = Described::without_place(resource.clone());
                self.whole.insert(resource.clone(), image);
            }
        }
    }
}

/// Reads the resources of a call and what they lie in. What ZEC does not show, what lies in something that ZEC does not show, and
/// what no action reads by its id is left out.
///
/// # Errors
/// When ZEC cannot be read, the resources are too many, or the caller may make no further read in time.
pub(super) async fn read(
    (reader, limits): (&Reader, &Live),
    call: &ActionCall,
    context: RequestContext<'_>,
) -> Result<Readings, Error> {
    let catalogue = Catalogue::in_use().map_err(failure::broken_catalogue)?;
    let mut seen: HashSet<Resource> = HashSet::new();
    let mut found: HashMap<Resource, (Described, Location)> = HashMap::new();
    let (mut waiting, mut reads) = (call.resources().cloned().collect::<Vec<_>>(), 0);
    // The request itself was counted.
    let mut paid = AT_ONCE;
    while !waiting.is_empty() {
        let groups = by_type(catalogue, std::mem::take(&mut waiting), &mut seen);
        let asked: Vec<_> = groups.iter().flat_map(pages).collect();
        reads += asked.len();
        if reads > MOST_READS {
            return Err(Error::invalid(
                "the call names more resources than the gateway reads for a decision: name fewer in one call",
            ));
        }
        for some in asked.chunks(AT_ONCE) {
            if paid < some.len() {
                context.count_further_reads(limits).await?;
                paid += AT_ONCE;
            }
            paid -= some.len();
            let mut answers = Vec::new();
            for page in some {
                answers.push(describe(reader, *page, context).boxed());
            }
            for (described, location) in try_join_all(answers).await?.into_iter().flatten() {
                waiting.extend(location.parents.iter().flatten().cloned());
                found.insert(described.resource.clone(), (described, location));
            }
        }
    }
    let tags = found.iter().map(|(resource, (one, _))| (resource.clone(), one.tags.clone()));
    let mut readings = Readings { tags: tags.collect(), whole: with_lineages(found) };
    readings.add_public_images(call);
    Ok(readings)
}

/// Resources of one type, and how they are read.
type Group = (&'static ResourceRow, &'static ReadBy, Vec<String>);

/// Some of the resources of a type, as many as one read may name.
type Page<'a> = (&'static ResourceRow, &'static ReadBy, &'a [String]);

fn pages((row, read_by, ids): &Group) -> impl Iterator<Item = Page<'_>> {
    ids.chunks(read_by.most_ids()).map(|ids| (*row, *read_by, ids))
}

/// The resources that were not seen yet, by their types. A type whose read needs more than ids is left out.
fn by_type(
    catalogue: &'static Catalogue,
    resources: Vec<Resource>,
    seen: &mut HashSet<Resource>,
) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
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
    (row, read_by, ids): Page<'_>,
    context: RequestContext<'_>,
) -> Result<Vec<(Described, Location)>, Error> {
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let (record, after) = (context.record, context.record.elapsed());
    let until = context.reads_until;
    let read = Box::pin(reader.describe(context.caller.id(), row, &ids, until)).await;
    super::record::called(record, &read_by.action, after, None, read.as_ref().err());
    read.map(|found| found.resources).map_err(|failure| failure::of_a_read(&failure))
}

/// Gives each resource its lineages. A resource gets none if something that it lies in is not known: a policy about that
/// would not see it, so nothing permits anything on it.
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
            let unplaced =
                found.into_iter().map(|(resource, (described, _))| (resource, described));
            done.extend(unplaced);
            return done;
        }
        for (resource, lineages) in ready {
            if let Some((described, _)) = found.remove(&resource) {
                done.insert(resource, Described { lineages, ..described });
            }
        }
    }
}
