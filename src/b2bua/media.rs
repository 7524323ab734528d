//! One leg's media as signalling sees it: which port and worker it has, and what it was told last.

use super::desk::Turn;
use super::webrtc::is_own_door;
use crate::effect::Output;
use crate::id::{MediaLegId, WorkerId};
use crate::media::command::{
    Command, Connect, Dtmf, Function, Keys, Music, Port, Recording, Remote, Seat, Side, Stream, Troubles, Video,
};
use crate::sdp::{Agreed, Trickled};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Where the leg lives.
#[derive(Clone, Debug, PartialEq)]
enum Place {
    At(WorkerId),
    /// On its way; what it is told meanwhile waits, the last of each kind.
    Moving(WorkerId, Vec<Command>),
    /// Close was sent.
    Closing,
}

/// What is known of a leg's browser.
#[derive(Clone, Debug)]
struct Web {
    /// Our address.
    own: IpAddr,
    /// What its set-up was told last.
    connect: Option<Box<Connect>>,
    /// How often it has become another browser.
    number: u32,
    /// Where it is, once that is known.
    peer: Option<SocketAddr>,
    /// What the worker was told of its stream, but for where it is.
    told: Option<(Remote, Stream)>,
    /// And of its video.
    video: Option<Box<Video>>,
    /// That is another than its room knows.
    has_new_lines: bool,
}

impl Web {
    fn new(own: IpAddr) -> Web {
        Web {
            own,
            connect: None,
            number: 0,
            peer: None,
            told: None,
            video: None,
            has_new_lines: false,
        }
    }
}

/// A media leg that is open, or closing.
#[derive(Clone, Debug)]
pub struct MediaLeg {
    /// Its name.
    pub id: MediaLegId,
    /// The SSRC of what it sends.
    pub ssrc: u32,
    /// The peer's first packet came.
    pub started: bool,
    /// What is wrong with it now.
    pub troubles: Troubles,
    /// How digits come and go.
    pub dtmf: Dtmf,
    /// What it carries may be a fax in audio.
    pub carries_data: bool,
    /// Whom it was bridged with last.
    met: Option<MediaLegId>,
    place: Place,
    function: Function,
    /// What it plays, where that is its function.
    music: Option<Music>,
    /// The silence that is to be watched for, and whether troubles are.
    watch: (Option<Duration>, bool),
    /// The same as the worker was told it: nothing while the call is held.
    watches: (Option<Duration>, bool),
    is_held: bool,
    /// Its packets are sealed.
    is_protected: bool,
    /// Who was heard before the answer may be another than who answers.
    forks: bool,
    /// Its peer is a browser.
    web: Option<Box<Web>>,
    /// How it sits in a room.
    seat: Seat,
    /// What it hears is recorded, there.
    recorded: Option<(Recording, Side)>,
}

impl MediaLeg {
    /// Opens a leg on a worker; with our address, if its peer is a browser.
    pub fn open(t: &mut Turn<'_, '_>, port: Port, worker: WorkerId, dtmf: Dtmf, own: Option<IpAddr>) -> MediaLeg {
        let mut spec = t.desk.stock.new_leg(t.cx, port);
        spec.rtc = own.is_some();
        let (id, ssrc) = (spec.id, spec.ssrc);
        t.cx.emit(Output::Media(worker, Command::Open(Box::new(spec))));
        MediaLeg {
            id,
            ssrc,
            started: false,
            troubles: Troubles::default(),
            dtmf,
            carries_data: false,
            met: None,
            place: Place::At(worker),
            function: Function::Idle,
            music: None,
            watch: (None, false),
            watches: (None, false),
            is_held: false,
            is_protected: false,
            forks: false,
            web: own.map(|own| Box::new(Web::new(own))),
            seat: Seat::default(),
            recorded: None,
        }
    }

    /// The worker that it lives on, or will; `None` when it is closing.
    pub fn worker(&self) -> Option<WorkerId> {
        match &self.place {
            Place::At(worker) | Place::Moving(worker, _) => Some(*worker),
            Place::Closing => None,
        }
    }

    /// It lives on a worker and is not on its way.
    pub fn is_settled(&self) -> bool {
        matches!(self.place, Place::At(_))
    }

    /// Close was sent and `Event::Closed` is awaited.
    pub fn is_closing(&self) -> bool {
        self.place == Place::Closing
    }

    /// We wanted its end, whether the worker was told yet or not.
    pub fn was_closed(&self) -> bool {
        match &self.place {
            Place::At(_) => false,
            Place::Moving(_, waiting) => waiting.iter().any(|command| matches!(command, Command::Close(_))),
            Place::Closing => true,
        }
    }

    /// Tells the worker what an end says before the answer: it need not be the one that answers.
    pub fn heard_early(&mut self, t: &mut Turn<'_, '_>, agreed: &Agreed) {
        self.forks = true;
        self.negotiated(t, agreed, None, false);
    }

    /// Tells the worker what was agreed. While the peer sends, its silence is watched; from the answer on, whatever may be wrong.
    pub fn negotiated(&mut self, t: &mut Turn<'_, '_>, agreed: &Agreed, silence: Option<Duration>, is_up: bool) {
        if let Some(connect) = &agreed.connect {
            self.connect(t, connect);
        }
        self.show(t, agreed);
        // First: nothing is sent in the clear where it should not be, not even one packet.
        if self.web.is_none() && (agreed.keys.is_some() || self.is_protected) {
            self.is_protected = agreed.keys.is_some();
            let (leg, keys) = (self.id, agreed.keys.clone());
            self.tell(t, Command::Protect { leg, keys });
        }
        let stream = Stream {
            dtmf: self.dtmf,
            carries_data: self.carries_data,
            ..agreed.stream
        };
        let remote = Remote {
            forks: self.forks,
            ..agreed.remote
        };
        self.forks &= !is_up;
        self.describe(t, remote, stream);
        let is_heard = agreed.stream.receives && !agreed.stream.udptl;
        self.watch = (silence.filter(|_| is_heard && is_up), is_up);
        self.tell_watch(t);
    }

    fn describe(&mut self, t: &mut Turn<'_, '_>, remote: Remote, stream: Stream) {
        let peer = self.web.as_mut().and_then(|web| {
            web.told = Some((remote, stream));
            web.peer
        });
        let remote = match peer {
            Some(peer) => Remote {
                rtp: peer,
                rtcp: peer,
                rtcp_mux: true,
                ..remote
            },
            None => remote,
        };
        let leg = self.id;
        self.tell(t, Command::Negotiated { leg, remote, stream });
    }

    /// What both sides say of their way, if that is new. With another certificate it is another peer (RFC 8842 5.1): the keys of the one before
    /// are worth nothing from now on, and where that was means nothing.
    fn connect(&mut self, t: &mut Turn<'_, '_>, connect: &Connect) {
        let Some(web) = &mut self.web else { return };
        let (mut connect, own) = (Box::new(connect.clone()), web.own);
        if let Some(lite) = &mut connect.lite {
            lite.candidates.retain(|at| !is_own_door(t.cx.config, own, *at));
        }
        if web.connect.as_ref() == Some(&connect) {
            return;
        }
        let before = web.connect.replace(connect.clone());
        let is_other = before.is_some_and(|before| before.fingerprints != connect.fingerprints);
        if is_other {
            web.number = web.number.wrapping_add(1);
            web.peer = None;
        }
        let (leg, number) = (self.id, web.number);
        if is_other {
            self.tell(t, Command::Protect { leg, keys: None });
        }
        self.tell(t, Command::Connect { leg, number, connect });
    }

    /// The peer that it is connected with has told more candidates; of another one it is told when that is heard.
    pub fn trickled(&mut self, t: &mut Turn<'_, '_>, told: &Trickled) {
        let connect = self.web.as_ref().and_then(|web| web.connect.clone());
        if let Some(mut connect) = connect
            && told.join(&mut connect)
        {
            self.connect(t, &connect);
        }
    }

    /// Its browser is set up by this number.
    pub fn is_set_up_by(&self, number: u32) -> bool {
        self.web.as_ref().is_some_and(|web| web.number == number)
    }

    /// What both sides say of its video, if that is new.
    fn show(&mut self, t: &mut Turn<'_, '_>, agreed: &Agreed) {
        let Some(web) = self.web.as_mut().filter(|web| web.video != agreed.video) else {
            return;
        };
        web.video.clone_from(&agreed.video);
        web.has_new_lines = true;
        let (leg, video) = (self.id, agreed.video.clone());
        self.tell(t, Command::Video { leg, video });
    }

    /// The names of the lines of its video, where those may be others than when this was asked last.
    pub fn new_lines(&mut self) -> Option<Vec<Box<str>>> {
        let web = self.web.as_mut()?;
        let lines = web.video.iter().flat_map(|video| &video.lines);
        std::mem::take(&mut web.has_new_lines).then(|| lines.map(|line| line.mid.clone()).collect())
    }

    /// The name of a line of its video, as its page knows it.
    pub fn video_line(&self, line: u8) -> Option<&str> {
        let video = self.web.as_ref()?.video.as_ref()?;
        video.lines.get(usize::from(line)).map(|line| &*line.mid)
    }

    /// The browser is who it says, and there.
    pub fn secured(&mut self, t: &mut Turn<'_, '_>, peer: SocketAddr, keys: Box<Keys>) {
        let leg = self.id;
        self.tell(t, Command::Protect { leg, keys: Some(keys) });
        self.moved_to(t, peer);
    }

    /// The browser is there from now on.
    pub fn moved_to(&mut self, t: &mut Turn<'_, '_>, peer: SocketAddr) {
        let Some(web) = &mut self.web else { return };
        web.peer = Some(peer);
        if let Some((remote, stream)) = web.told {
            self.describe(t, remote, stream);
        }
    }

    /// Its call is held, by whichever side, or no longer: as long as that lasts, silence is as it should be.
    pub fn hold(&mut self, t: &mut Turn<'_, '_>, is_held: bool) {
        if self.is_held != is_held {
            self.is_held = is_held;
            self.tell_watch(t);
        }
    }

    fn tell_watch(&mut self, t: &mut Turn<'_, '_>) {
        let watch = if self.is_held { (None, false) } else { self.watch };
        if watch != self.watches {
            self.watches = watch;
            let (leg, (silence, troubles)) = (self.id, watch);
            self.tell(t, Command::Watch { leg, silence, troubles });
        }
    }

    /// What it does from now on; nothing is sent when that is what it does already.
    pub fn function(&mut self, t: &mut Turn<'_, '_>, function: Function) {
        if self.function != function {
            self.function = function;
            self.tell(t, Command::Function { leg: self.id, function });
        }
    }

    /// Its peer hears this from now on.
    pub fn play(&mut self, t: &mut Turn<'_, '_>, music: &Music, repeats: bool) {
        self.function = Function::Play;
        self.music = Some(music.clone());
        let (leg, music) = (self.id, music.clone());
        self.tell(t, Command::Play { leg, music, repeats });
    }

    /// How it sits in its room from now on; nothing is sent when that is so already.
    pub fn sit(&mut self, t: &mut Turn<'_, '_>, seat: Seat) {
        if self.seat != seat {
            self.seat = seat;
            self.tell(t, Command::Seat { leg: self.id, seat });
        }
    }

    /// That is what its peer hears.
    pub fn plays(&self, music: &Music) -> bool {
        self.function == Function::Play && self.music.as_ref().is_some_and(|own| own.is(music))
    }

    /// The other leg of a bridge was told, which holds for this one too.
    pub fn note_function(&mut self, function: Function) {
        self.function = function;
    }

    /// What it was told to do last.
    pub fn current(&self) -> Function {
        self.function
    }

    /// It is bridged with that one; true where it carried data that was another's.
    pub fn meets(&mut self, partner: MediaLegId) -> bool {
        let is_new = self.met.replace(partner).is_some_and(|old| old != partner);
        is_new && std::mem::take(&mut self.carries_data)
    }

    /// Asks how it goes; false where it cannot be asked now.
    pub fn measure(&self, t: &mut Turn<'_, '_>) -> bool {
        let Place::At(worker) = self.place else { return false };
        t.cx.emit(Output::Media(worker, Command::ReadStats(self.id)));
        true
    }

    /// Sends digits to the peer.
    pub fn digits(&mut self, t: &mut Turn<'_, '_>, digits: String) {
        let digits = digits.into();
        self.tell(t, Command::SendDigits { leg: self.id, digits });
    }

    /// What its peer says is recorded there from now on, or no longer; nothing is sent when that is so already.
    pub fn record(&mut self, t: &mut Turn<'_, '_>, to: Option<(Recording, Side)>) {
        if self.recorded != to {
            self.recorded = to;
            self.tell(t, Command::Record { leg: self.id, to });
        }
    }

    /// Moves it to another worker.
    pub fn move_to(&mut self, t: &mut Turn<'_, '_>, to: WorkerId) {
        if let Place::At(worker) = self.place
            && worker != to
        {
            t.cx.emit(Output::Media(worker, Command::Move { leg: self.id, to }));
            t.desk.move_media(self.id, to);
            self.function = Function::Idle;
            self.place = Place::Moving(to, Vec::new());
        }
    }

    /// `Event::Moved`: what waited is said now.
    pub fn moved(&mut self, t: &mut Turn<'_, '_>, worker: WorkerId) {
        if let Place::Moving(_, waiting) = &mut self.place {
            let waiting = std::mem::take(waiting);
            self.place = Place::At(worker);
            for command in waiting {
                let closes = matches!(command, Command::Close(_));
                t.cx.emit(Output::Media(worker, command));
                if closes {
                    self.place = Place::Closing;
                }
            }
        }
    }

    /// Ends it; once.
    pub fn close(&mut self, t: &mut Turn<'_, '_>) {
        let command = Command::Close(self.id);
        match &mut self.place {
            Place::At(worker) => {
                t.cx.emit(Output::Media(*worker, command));
                self.place = Place::Closing;
            }
            Place::Moving(_, waiting) => {
                waiting.clear();
                waiting.push(command);
            }
            Place::Closing => {}
        }
    }

    fn tell(&mut self, t: &mut Turn<'_, '_>, command: Command) {
        match &mut self.place {
            Place::At(worker) => t.cx.emit(Output::Media(*worker, command)),
            Place::Moving(_, waiting) => {
                let kind = std::mem::discriminant(&command);
                waiting.retain(|old| std::mem::discriminant(old) != kind);
                waiting.push(command);
            }
            Place::Closing => {}
        }
    }
}
