//! What can go wrong, which bugs can be planted, and which promises must hold all the same: each by a name.

use std::{fmt, str::FromStr};

/// An enum whose variants have names for people, which read back.
macro_rules! named {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])+ $variant:ident = $text:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$doc])+ $variant,)+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Its name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let known = Self::ALL.iter().find(|known| known.name() == text);
                known.copied().ok_or_else(|| format!("`{text}` is not known"))
            }
        }
    };
}

named! {
    /// A kind of trouble that a storm brings.
    Fault {
        /// A process ends at a port call, and starts anew with nothing in memory.
        Crash = "crash",
        /// A process stands still for longer than its lease, in the middle of whatever it does.
        Freeze = "freeze",
        /// The clock of a machine jumps, forward or back.
        ClockJump = "clock-jump",
        /// A transaction of the database is not committed.
        StoreFails = "store-fails",
        /// It is, and the answer is lost.
        StoreAnswerLost = "store-answer-lost",
        /// What is only remembered to save work is gone.
        CacheLost = "cache-lost",
        /// A delivery is lost before it arrives; its sender repeats it.
        DeliveryLost = "delivery-lost",
        /// It is answered, and the answer is lost: it comes again.
        DeliveryDoubled = "delivery-doubled",
        /// It comes late, after others.
        DeliveryLate = "delivery-late",
        /// Somebody sends what is not true.
        FalseDelivery = "false-delivery",
        /// A registry cannot be reached.
        RegistryOutage = "registry-outage",
        /// A registry asks to be left alone for a while.
        RegistryThrottle = "registry-throttle",
        /// A registry answers from a replica that lags behind.
        RegistryLag = "registry-lag",
        /// A version's tag is moved to other content.
        TagMoves = "tag-moves",
        /// A tag is deleted.
        TagDeleted = "tag-deleted",
        /// The Git server cannot be reached.
        GitFails = "git-fails",
        /// The Git server did what was pushed, and the answer is lost.
        GitAnswerLost = "git-answer-lost",
        /// The mirror knows an older head.
        MirrorLag = "mirror-lag",
        /// History does not go back far enough to be told.
        HistoryShort = "history-short",
        /// People commit to the branch meanwhile.
        PeopleCommit = "people-commit",
        /// People take a version back.
        PeopleRevert = "people-revert",
        /// People merge, close, open again, retitle and approve pull requests.
        PeopleReview = "people-review",
        /// People push to the bot's own branches.
        PeoplePush = "people-push",
        /// People hold, freeze and release, by comment and as operators.
        PeopleCommand = "people-command",
        /// Strangers try the same.
        StrangersCommand = "strangers-command",
        /// The forge cannot be reached.
        ForgeFails = "forge-fails",
        /// The forge did what was asked, and the answer is lost.
        ForgeAnswerLost = "forge-answer-lost",
        /// The forge's listing lags behind.
        ForgeLag = "forge-lag",
    }
}

named! {
    /// A fault of ours that the simulator must find, to prove that it looks. Each is planted in the in-memory ports.
    Bug {
        /// A delivery is answered before it is stored, and the process may end in between.
        AnswerBeforeStore = "answer-before-store",
        /// A repeated delivery is stored as a new one.
        ForgetDeduplication = "forget-deduplication",
        /// A delivery is stored for another tenant.
        SwapTenant = "swap-tenant",
        /// The branch counts as served when work is leased.
        ServedWhenLeased = "served-when-leased",
        /// What came while work was under way counts as served with it.
        DropCoalesced = "drop-coalesced",
        /// Two workers get the same lease.
        LeaseTwice = "lease-twice",
        /// Whoever held a lease before writes all the same.
        FenceIgnored = "fence-ignored",
        /// A lease does not run out, as when it is measured by a clock that was ahead.
        LeaseForEver = "lease-for-ever",
        /// Served work is not written down as served.
        ServingForgotten = "serving-forgotten",
        /// Work that is done is due again at once.
        BusyLoop = "busy-loop",
        /// A decision is acted on and not written down.
        DecisionForgotten = "decision-forgotten",
        /// A hold is not written down.
        HoldForgotten = "hold-forgotten",
        /// A push does not compare the branch with the base first.
        PushWithoutCompare = "push-without-compare",
        /// A branch of the bot is replaced wherever it stands.
        ForcePush = "force-push",
        /// A push that lost a race is put on the new head as it is.
        RetryWithoutReread = "retry-without-reread",
        /// A push whose answer was lost is made again on top.
        RepeatAfterLostAnswer = "repeat-after-lost-answer",
        /// A push whose answer was lost is told by its error's text, as a refusal.
        ErrorByText = "error-by-text",
        /// The mirror's head passes for the branch's.
        MirrorBelieved = "mirror-believed",
        /// An edit re-prints the file.
        ReprintFiles = "reprint-files",
        /// A registry that is down looks as if the tag were gone.
        OutageMeansGone = "outage-means-gone",
        /// A part of a listing passes for all of it.
        ShortListBelieved = "short-list-believed",
        /// A registry that asks to be left alone is asked again.
        RetryAfterIgnored = "retry-after-ignored",
        /// The digest that a sender names passes for the one that the registry has.
        SenderBelieved = "sender-believed",
        /// A pull request that is there is opened again.
        OpenTwice = "open-twice",
        /// The forge's listing passes for how a pull request is now.
        ListingBelieved = "listing-believed",
        /// A pull request is merged whatever its head is.
        MergeWithoutHead = "merge-without-head",
        /// A comment is written again, because nobody looks whether it is there.
        CommentTwice = "comment-twice",
        /// A comment is taken for written that is not.
        CommentLost = "comment-lost",
        /// Everybody passes for somebody who may write.
        EverybodyMayWrite = "everybody-may-write",
    }
}

named! {
    /// What holds, whatever happens. The first nine are the invariants I1 to I9 of the design's anchors.
    Promise {
        /// I1: what was answered is in the store, and is served only with a decision that says what became of it.
        NothingAcceptedIsLost = "I1 nothing accepted is lost",
        /// I2: at most one delivery for each key, and no commit that does again what was done.
        NothingIsDoneTwice = "I2 nothing is done twice",
        /// I3: branches of people only grow, and our commits change nothing but the values they name.
        HistoryOnlyGrows = "I3 history only grows, by what was planned",
        /// I4: a version is never lowered, unless people ask for it.
        NeverDown = "I4 never down",
        /// I5: what a tenant's senders say has effects for that tenant alone.
        TenantsStayApart = "I5 tenants stay apart",
        /// I6: no effect without an image at the registry, and no wish but of those who may wish.
        NothingWithoutACause = "I6 nothing without a cause",
        /// I7: the number of a lease is above all before, and who has an older one writes nothing.
        OldLeasesWriteNothing = "I7 old leases write nothing",
        /// I8: what people see at the forge is there, and there once.
        PeopleAreToldOnce = "I8 people are told once",
        /// I9: what is kept and what is done stays within bounds.
        EverythingIsBounded = "I9 everything is bounded",
        /// What people took back, closed or froze stays so until they say otherwise.
        PeopleAreHeard = "people are heard",
        /// What people put on our branches is not lost by us, nor merged by us.
        PeoplesWorkIsTheirs = "people's work is theirs",
        /// What is said was read: of a head that was there, of a tag that is gone.
        WhatIsSaidWasRead = "what is said was read",
        /// A sweep that came to its end missed nothing that was there before it began.
        SweepsCatchUp = "sweeps catch up",
        /// Who asks to be left alone is left alone, unless something new happens.
        LeftAloneWhenAsked = "left alone when asked",
        /// Once all faults stop, Git holds what is wanted and nothing waits, within bounded time.
        ComesToRest = "comes to rest",
        /// A rest is one: nothing more is done then.
        StaysAtRest = "stays at rest",
    }
}

/// Some kinds of trouble.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Faults(u64);

impl Faults {
    /// All.
    #[must_use]
    pub fn all() -> Self {
        Fault::ALL.iter().fold(Self::none(), |faults, fault| faults.with(*fault))
    }

    /// None.
    #[must_use]
    pub fn none() -> Self {
        Self(0)
    }

    /// This one too.
    #[must_use]
    pub fn with(self, fault: Fault) -> Self {
        Self(self.0 | 1 << fault as u64)
    }

    /// This one not.
    #[must_use]
    pub fn without(self, fault: Fault) -> Self {
        Self(self.0 & !(1 << fault as u64))
    }

    /// Whether this one is there.
    #[must_use]
    pub fn has(self, fault: Fault) -> bool {
        self.0 & (1 << fault as u64) != 0
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = Fault::ALL.iter().filter(|fault| self.has(**fault)).map(|fault| fault.name()).collect();
        f.write_str(if names.is_empty() { "none" } else { "" })?;
        f.write_str(&names.join(","))
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Faults {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::all()),
            "none" => Ok(Self::none()),
            names => names.split(',').try_fold(Self::none(), |faults, name| Ok(faults.with(name.parse()?))),
        }
    }
}
