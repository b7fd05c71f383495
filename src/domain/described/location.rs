//! Where a resource lies.

use crate::{catalogue::ResourceType, domain::Resource};

/// The members of an object that say where a resource lies.
#[derive(Clone, Debug, Default)]
pub struct Location {
    /// Whether its type has a resource group of its own. Then it has no other.
    pub has_group: bool,
    /// Its own resource group; `None` if its type has none, or ZEC shows none.
    pub group: Option<String>,
    /// Its regions; most types have one.
    pub regions: Vec<String>,
    /// For each member with parents: the resources that it names.
    pub parents: Vec<Vec<Resource>>,
}

impl Location {
    /// The lineages of a resource at this location. `of` gives those of a parent; a parent that it does not know is an error.
    ///
    /// A group of the resource's own is its only one. Where a member names several parents, or there are several regions,
    /// each is a lineage of its own.
    ///
    /// # Errors
    /// The parent that is not known.
    pub fn lineages<'a>(
        &self,
        of: impl Fn(&Resource) -> Option<&'a [Vec<Resource>]>,
    ) -> Result<Vec<Vec<Resource>>, Resource> {
        let in_own = |kind: &str, id: &String| Resource { kind: kind.to_owned(), id: id.clone() };
        let mut all: Vec<Vec<Resource>> =
            vec![self.group.iter().map(|id| in_own(ResourceType::RESOURCE_GROUP, id)).collect()];
        all = combined(
            all,
            &self
                .regions
                .iter()
                .map(|id| vec![in_own(ResourceType::REGION, id)])
                .collect::<Vec<_>>(),
        );
        for parents in &self.parents {
            let mut through = Vec::new();
            for parent in parents {
                for lineage in of(parent).ok_or_else(|| parent.clone())? {
                    let inherited = lineage.iter().filter(|one| {
                        let group = one.kind == ResourceType::RESOURCE_GROUP && self.has_group;
                        let region = one.kind == ResourceType::REGION && !self.regions.is_empty();
                        !group && !region
                    });
                    through.push([parent.clone()].into_iter().chain(inherited.cloned()).collect());
                }
            }
            all = combined(all, &through);
        }
        Ok(all)
    }
}

/// Each lineage with each of the others; unchanged if there are no others.
fn combined(all: Vec<Vec<Resource>>, with: &[Vec<Resource>]) -> Vec<Vec<Resource>> {
    if with.is_empty() {
        return all;
    }
    let join = |one: &Vec<Resource>| {
        with.iter().map(|more| [one.as_slice(), more].concat()).collect::<Vec<_>>()
    };
    all.iter().flat_map(join).collect()
}
