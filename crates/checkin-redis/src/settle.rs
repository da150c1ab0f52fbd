//! Leaderboards of records whose figures were lowered.
//!
//! Mostly figures only increase, and so do the scores in the lists, in whatever order their writers come. A score
//! that must be lowered is written, and then the figure is read again, until both agree: so does whoever has raised
//! the score of a record whose figures were lowered a moment ago, because its figure may be from before.

use std::collections::BTreeSet;

use checkin_domain::{LocationId, UserId};
use checkin_storage::Result;
use checkin_storage::weeks::kept_until;
use redis_link::Reply;

use crate::connection::at_once;
use crate::lists::Lists;
use crate::reply::{array, texts};

/// Maximum number of ids in one command.
const IDS: usize = 256;

/// The figures by which a user or a location is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Listed {
    num_checkins: u64,
    last_checkin: u64,
    last_seen_at: Option<LocationId>,
    weeks: Vec<u64>,
}

/// A list and the score in it; 0 is in no list.
struct Score {
    list: String,
    score: u64,
    /// When the list expires (ms).
    expires_ms: Option<u64>,
}

impl Score {
    fn new(list: String, score: u64) -> Self {
        Self { list, score, expires_ms: None }
    }
}

impl Lists<'_> {
    /// Returns those of the ids that are among the records whose figures were lowered.
    pub(crate) async fn lowered(
        &self,
        key: &str,
        ids: impl Iterator<Item = u64>,
    ) -> Result<Vec<u64>> {
        let ids: Vec<u64> = BTreeSet::from_iter(ids).into_iter().collect();
        let look = async |ids: &[u64]| {
            let members: Vec<String> = ids.iter().map(u64::to_string).collect();
            let members = members.iter().map(String::as_str);
            let words: Vec<&str> = ["ZMSCORE", key].into_iter().chain(members).collect();
            let marks = array(self.0.call(&words).await?)?;
            let lowered = ids.iter().zip(marks).filter(|(_, mark)| *mark != Reply::Nil);
            Ok(lowered.map(|(id, _)| *id).collect::<Vec<u64>>())
        };
        Ok(at_once(ids.chunks(IDS).map(look).collect()).await?.concat())
    }

    /// Makes the scores of a user those of the figures: also of these weeks, and of the lists of these locations.
    pub(crate) async fn settle_user(
        &self,
        user: UserId,
        weeks: &[u64],
        places: &BTreeSet<LocationId>,
    ) -> Result<()> {
        let keys = &self.0.keys;
        let scores = |listed: &Listed| {
            let mut scores = vec![
                Score::new(keys.top_users(), listed.num_checkins),
                Score::new(keys.recent_users(), listed.last_checkin),
            ];
            scores.extend(of_weeks(listed, weeks, |monday| keys.top_users_of_week(monday)));
            let here = listed.last_seen_at;
            let gone = places.iter().filter(|place| Some(**place) != here);
            scores.extend(gone.map(|place| Score::new(keys.users_at(*place), 0)));
            scores.extend(here.map(|place| Score::new(keys.users_at(place), listed.last_checkin)));
            scores
        };
        self.settle([keys.user(user), keys.user_history(user)], user.get(), weeks, scores).await
    }

    /// Makes the scores of a location those of the figures, also of these weeks.
    pub(crate) async fn settle_location(&self, location: LocationId, weeks: &[u64]) -> Result<()> {
        let keys = &self.0.keys;
        let scores = |listed: &Listed| {
            let mut scores = vec![Score::new(keys.top_locations(), listed.num_checkins)];
            scores.extend(of_weeks(listed, weeks, |monday| keys.top_locations_of_week(monday)));
            scores
        };
        let of = [keys.location(location), keys.location_history(location)];
        self.settle(of, location.get(), weeks, scores).await
    }

    async fn settle(
        &self,
        of: [String; 2],
        id: u64,
        weeks: &[u64],
        scores: impl Fn(&Listed) -> Vec<Score> + Send,
    ) -> Result<()> {
        let mut written = None;
        loop {
            let listed = self.listed(&of, weeks).await?;
            if written.as_ref() == Some(&listed) {
                return Ok(());
            }
            let write = scores(&listed).into_iter().map(|score| self.write(score, id));
            at_once(write.collect()).await?;
            written = Some(listed);
        }
    }

    async fn listed(&self, of: &[String; 2], weeks: &[u64]) -> Result<Listed> {
        let words: Vec<String> =
            [weeks.len() as u64].iter().chain(weeks).map(u64::to_string).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (script, keys) = (&self.0.scripts.listed_figures, of.each_ref().map(String::as_str));
        let figures = texts(self.0.run(script, &keys, &words).await?)?;
        let number = |at: usize| figures.get(at).and_then(|text| text.parse().ok()).unwrap_or(0);
        Ok(Listed {
            num_checkins: number(0),
            last_checkin: number(1),
            last_seen_at: figures.get(2).and_then(|text| text.parse().ok()),
            weeks: (3..figures.len()).map(number).collect(),
        })
    }

    async fn write(&self, Score { list, score, expires_ms }: Score, id: u64) -> Result<()> {
        let (id, words) = (id.to_string(), score.to_string());
        match score {
            0 => self.0.call(&["ZREM", &list, &id]).await?,
            _ => self.0.call(&["ZADD", &list, &words, &id]).await?,
        };
        if let Some(at) = expires_ms.filter(|_| score > 0) {
            self.0.call(&["PEXPIREAT", &list, &at.to_string()]).await?;
        }
        Ok(())
    }
}

fn of_weeks(listed: &Listed, weeks: &[u64], key: impl Fn(u64) -> String) -> Vec<Score> {
    let weeks = weeks.iter().zip(&listed.weeks);
    let score = |(monday, count): (&u64, &u64)| Score {
        list: key(*monday),
        score: *count,
        expires_ms: Some(kept_until(*monday)),
    };
    weeks.map(score).collect()
}
