//! `all=true`: finds out which addresses that means now.

use super::judge::Judge;
use crate::{
    domain::{Addresses, AddressesError, Change, ChangeIpv4, Nic, UnassignAll},
    error::Error,
};

/// All secondary addresses of a vNIC.
pub(super) enum All {
    /// The addresses, as if the caller had named them, and the vNIC that they were read from.
    These(ChangeIpv4, Box<Nic>),
    /// The vNIC has none.
    Nothing {
        /// The vNIC as it was read.
        nic: Box<Nic>,
        /// ZEC's id of the request that read it.
        request_id: String,
    },
}

/// Reads the vNIC, if the caller may see it, and collects its secondary addresses.
///
/// # Errors
/// 403 or 404 if the caller cannot see the vNIC, 400 if it has too many addresses.
pub(super) async fn everything(judge: &Judge<'_>, all: UnassignAll) -> Result<All, Error> {
    let (permit, nic, request_id) = judge.see(&all.nic).await?;
    let id = permit.spend().nic;
    match Addresses::from_list(&nic.secondary_ipv4s, all.max) {
        Ok(addresses) => {
            let count = addresses.as_slice().len();
            judge.context.record.note(|facts| {
                facts.asked.iter_mut().for_each(|asked| asked.addresses = count);
            });
            Ok(All::These(ChangeIpv4 { change: Change::Unassign, nic: id, addresses }, nic))
        }
        Err(AddressesError::TooMany { count, max }) => Err(Error::invalid(format!(
            "the vNIC has {count} secondary addresses, and one request may name at most {max}: \
             name them in several requests"
        ))),
        Err(_) => Ok(All::Nothing { nic, request_id }),
    }
}
