// The phone of the page on SIP.js.

import { Inviter, Registerer, RegistererState, SessionState, UserAgent } from '/sip.js/index.js';

// It says nothing of who ends a call: by us it is, if we were asked.
function follow(session, originator, { step, show, watch }) {
  let isOurs = false;
  show('call', `${originator}: ${session.remoteIdentity.uri}`);
  step('call', `${originator} ${session.remoteIdentity.uri}`);
  session.delegate = { onSessionDescriptionHandler: (handler) => watch(handler.peerConnection) };
  session.stateChange.addListener((state) => {
    if (state === SessionState.Established) step('confirmed', originator === 'local' ? 'remote' : 'local');
    if (state === SessionState.Terminated) step('ended', isOurs ? 'local' : 'remote');
  });
  return async () => {
    isOurs = true;
    await session.bye();
  };
}

export function start(options, page) {
  const constraints = { constraints: { audio: options.audio, video: false } };
  let hangUp = null;
  const ua = new UserAgent({
    uri: UserAgent.makeURI(options.uri),
    transportOptions: { server: options.server },
    authorizationUsername: options.uri.match(/sip:(.+)@/)[1],
    authorizationPassword: options.password,
    logLevel: 'warn',
    // Its default asks a server on the internet.
    sessionDescriptionHandlerFactoryOptions: { peerConnectionConfiguration: { iceServers: [] } },
    delegate: {
      onInvite: (invitation) => {
        hangUp = follow(invitation, 'remote', page);
        page.step('via', invitation.request.getHeaders('via').map((via) => via.split(';')[0]).join(', '));
        invitation.accept({ sessionDescriptionHandlerOptions: constraints });
      },
    },
  });
  const registerer = new Registerer(ua);
  registerer.stateChange.addListener((state) => {
    if (state === RegistererState.Registered) {
      page.show('registration', options.uri);
      page.step('registered', 200);
    }
  });
  ua.start().then(() => registerer.register());
  return {
    dial: async (target) => {
      const inviter = new Inviter(ua, UserAgent.makeURI(target), {
        earlyMedia: true,
        sessionDescriptionHandlerOptions: constraints,
      });
      hangUp = follow(inviter, 'local', page);
      await inviter.invite();
    },
    hangUp: () => hangUp(),
  };
}
