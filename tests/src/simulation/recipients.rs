//! Who gets the mail: mailbox, client, browser and addresses of each recipient.

use std::net::IpAddr;
use std::sync::Arc;

use rand_distr::Zipf;

use super::Names;
use super::chance::{Chance, address, scatter};
use super::parameters::{Client, Network, Parameters, Scanner};

/// One recipient and where its requests come from.
pub(super) struct Recipient<'p> {
    pub(super) number: u32,
    pub(super) client: Client,
    pub(super) mail_name: Arc<str>,
    pub(super) browser: Arc<str>,
    /// Where the person sits.
    pub(super) address: IpAddr,
    /// Where the employer's machines sit; the person's own for a consumer.
    pub(super) gateway: IpAddr,
    pub(super) scanner: Option<&'p Scanner>,
}

/// What is the same for all recipients.
pub(super) struct Population<'p> {
    parameters: &'p Parameters,
    names: &'p Names,
    sizes: Zipf<f64>,
    /// What Zipf's law adds up to over all companies.
    total_size: f64,
    homes: Vec<Network>,
    homes_v6: Vec<Network>,
    carriers: Vec<Network>,
    gateways: Vec<Network>,
}

impl<'p> Population<'p> {
    pub(super) fn new(parameters: &'p Parameters, names: &'p Names) -> Option<Self> {
        let companies = &parameters.companies;
        let sizes = Zipf::new(f64::from(companies.count), companies.size_exponent).ok()?;
        let total_size = (1..=companies.count)
            .map(|rank| f64::from(rank).powf(-companies.size_exponent))
            .sum();
        let networks = |texts: &[&str]| -> Option<Vec<Network>> {
            let parse = |text: &&str| Network::try_from((*text).to_owned()).ok();
            texts.iter().map(parse).collect()
        };
        Some(Self {
            parameters,
            names,
            sizes,
            total_size,
            homes: networks(&["73.0.0.0/8", "81.128.0.0/11", "91.0.0.0/10"])?,
            homes_v6: networks(&["2a02:8100::/29", "2601::/20"])?,
            carriers: networks(&["172.56.0.0/16", "80.187.80.0/20", "92.40.168.0/21"])?,
            gateways: networks(&["193.16.0.0/13", "204.90.0.0/15", "62.96.0.0/12"])?,
        })
    }

    pub(super) fn recipient(&self, number: u32, chance: &mut Chance) -> Option<Recipient<'p>> {
        match chance.happens(self.parameters.companies.share) {
            true => self.employee(number, chance),
            false => self.consumer(number, chance),
        }
    }

    fn consumer(&self, number: u32, chance: &mut Chance) -> Option<Recipient<'p>> {
        let consumers = &self.parameters.consumers;
        let client = self.client(&self.parameters.clients.consumer, chance)?;
        let on_phone = chance.happens(consumers.carrier_share);
        let home = self.home(number, chance)?;
        let carrier = address(&self.carriers, chance.below(consumers.carrier_addresses))?;
        let address = if on_phone { carrier } else { home };
        let browsers = match on_phone {
            true => &self.names.phone,
            false => &self.names.computer,
        };
        let browser = Arc::clone(chance.one_of(browsers)?);
        let scanner = match chance.happens(consumers.scanned_share) {
            true => self.scanner(&mut Chance::new(
                self.parameters.seed,
                u64::from(number) << 32,
            )),
            false => None,
        };
        Some(Recipient {
            number,
            client,
            mail_name: self.mail_name(client, chance)?,
            browser,
            address,
            gateway: home,
            scanner,
        })
    }

    fn employee(&self, number: u32, chance: &mut Chance) -> Option<Recipient<'p>> {
        let companies = &self.parameters.companies;
        let rank = chance.draw(&self.sizes);
        let company = rank as u32;
        // What is the company's is drawn from a stream of the company's own.
        let mut of_company = Chance::new(!self.parameters.seed, u64::from(company));
        let scanned = of_company.happens(companies.scanned_share);
        let scanner = self.scanner(&mut of_company).filter(|_| scanned);
        let standard = Arc::clone(of_company.one_of(&self.names.company)?);
        let share = rank.powf(-companies.size_exponent) / self.total_size;
        let employees = f64::from(self.parameters.recipients) * companies.share * share;
        let addresses = 1 + employees as u32 / companies.employees_per_address.max(1);
        let own = scatter(u64::from(number)) as u32 % addresses;
        let gateway = address(&self.gateways, company * 64 + own)?;
        let client = self.client(&self.parameters.clients.company, chance)?;
        let address = match chance.happens(companies.remote_share) {
            true => self.home(number, chance)?,
            false => gateway,
        };
        let browser = match chance.happens(companies.same_browser_share) {
            true => standard,
            false => Arc::clone(chance.one_of(&self.names.computer)?),
        };
        Some(Recipient {
            number,
            client,
            mail_name: self.mail_name(client, chance)?,
            browser,
            address,
            gateway,
            scanner,
        })
    }

    fn home(&self, number: u32, chance: &mut Chance) -> Option<IpAddr> {
        match chance.happens(self.parameters.consumers.ipv6_share) {
            true => address(&self.homes_v6, number),
            false => address(&self.homes, number),
        }
    }

    fn scanner(&self, chance: &mut Chance) -> Option<&'p Scanner> {
        let weights = self.parameters.scanners.iter();
        chance.weighted(weights.map(|scanner| (scanner, scanner.weight)))
    }

    fn client(
        &self,
        weights: &std::collections::BTreeMap<Client, f64>,
        chance: &mut Chance,
    ) -> Option<Client> {
        chance.weighted(weights.iter().map(|(client, weight)| (*client, *weight)))
    }

    fn mail_name(&self, client: Client, chance: &mut Chance) -> Option<Arc<str>> {
        let names = self.names.mail.get(&client)?;
        chance.one_of(names).map(Arc::clone)
    }
}
