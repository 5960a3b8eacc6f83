import { expect } from 'chai';
import { IsInt } from 'class-validator';
import {
  Action,
  ApiConsumer,
  type App,
  Consumer,
  Disconnected,
  demultiplexer,
  OnMessage,
  path,
  StreamClosed,
} from 'signalbox';
import { connect, type MemoryLogger } from 'signalbox/testing';
import { useServer } from '../support/serving.js';

class Code {
  @IsInt() code!: number;
}

/** The consumers that were built, for what a method does that outlives its connection. */
const built: Talking[] = [];

@Consumer()
class Talking extends ApiConsumer {
  constructor() {
    super();
    built.push(this);
  }

  @Action()
  async join() {
    await this.addGroup('talkers');
    return this.joinedGroups;
  }

  @Action({ atomic: false })
  leave({ code }: Code) {
    this.close(code);
  }

  @OnMessage('say')
  protected onSay() {
    this.sendJson({ said: true });
  }

  protected override async onDisconnect() {
    for (const group of this.joinedGroups) await this.sendToGroup(group, { type: 'say' });
  }

  say(): void {
    this.sendJson({ late: true });
  }

  enter(): Promise<void> {
    return this.addGroup('late');
  }

  get groups(): readonly string[] {
    return this.joinedGroups;
  }
}

const dropped = 'A frame was dropped: its connection or stream has ended.';

describe('What a consumer reaches', () => {
  const serve = useServer();
  let app: App;
  let logger: MemoryLogger;

  beforeEach(() => {
    built.splice(0);
    const routes = [path('/many/', demultiplexer({ one: Talking, two: Talking })), path('/one/', Talking)];
    ({ app, logger } = serve(routes, { settings: { development: true } }));
  });

  const refusalOf = (consumer: Talking | undefined): Promise<unknown> =>
    (consumer as Talking).enter().then(
      () => undefined,
      (error: unknown) => error,
    );
  const notes = () => logger.at('debug').filter(({ message }) => message === dropped);

  it('ends with its stream: frames are dropped with a note, and groups are refused', async () => {
    await using ann = await connect(app, '/many/');
    await ann.channel('one').request('join');
    await ann.channel('two').request('join');
    await ann.channel('one').request('leave', { code: 4001 });
    await ann.channel('one').receive();
    await ann.channel('two').receive();
    const [closed] = built;
    closed?.say();
    expect(await refusalOf(closed)).to.be.instanceOf(StreamClosed);
    expect(closed?.groups).to.deep.equal(['talkers']);
    await ann.channel('one').expectSilence();
    expect(notes().map(({ fields }) => fields)).to.deep.equal([{ consumer: 'Talking', path: '/many/' }]);
    built[1]?.say();
    expect(await ann.channel('two').receive()).to.deep.equal({ late: true });
    await app.sendToGroup('late', { type: 'say' });
    await ann.channel('two').expectSilence();
  });

  it('ends with its connection', async () => {
    const ann = await connect(app, '/one/');
    await ann.request('join');
    ann.close();
    await ann.ended;
    built[0]?.say();
    expect(await refusalOf(built[0])).to.be.instanceOf(Disconnected);
    expect(notes()).to.have.length(1);
  });

  it('says goodbye to the groups that it was in', async () => {
    await using bob = await connect(app, '/one/');
    await bob.request('join');
    const ann = await connect(app, '/one/');
    await ann.request('join');
    ann.close();
    await ann.ended;
    expect(await bob.receive()).to.deep.equal({ said: true });
    await bob.expectSilence();
  });
});
