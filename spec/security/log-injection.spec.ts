import { expect } from 'chai';
import { IsInt } from 'class-validator';
import { Action, ApiConsumer, Consumer, Logger, path, type Scope, type ScopeMiddleware } from 'signalbox';
import { injectable, container as rootContainer } from 'tsyringe';
import { offlineOrm } from '../support/offline-orm.js';
import { RawClient, upgradeRequest } from '../support/sockets.js';
import { ask, Served } from './served.js';

const forged = '{"level":"info","message":"forged"}';

/** What tries to end a line, to colour a terminal, to turn the direction of writing, or to fill the disk. */
const hostile: readonly [string, string][] = [
  ['a line feed', `x\n${forged}`],
  ['a carriage return', `x\r${forged}`],
  ['both', `x\r\n${forged}`],
  ['a line separator', `x\u2028${forged}`],
  ['a paragraph separator', `x\u2029${forged}`],
  ['a next line of C1', `x\u0085${forged}`],
  ['an ANSI escape', 'x\u001b[2J\u001b[31m'],
  ['an escape of C1', 'x\u009b31m'],
  ['a hyperlink', 'x\u001b]8;;http://evil\u0007click\u001b]8;;\u0007'],
  ['null, backspace and delete', 'x\u0000\b\u007f'],
  ['signs that turn the direction', 'x\u202e\u2066\u200f'],
  ['a quote that closes the value', `x","level":"info","message":"forged`],
  ['20 000 characters', 'x'.repeat(20_000)],
];

/** Anything that a terminal or a reader of lines would obey. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const obeyed = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/;

@injectable()
class Refusing implements ScopeMiddleware {
  async apply({ path: at, query }: Scope) {
    if (at.startsWith('/fail')) throw new Error(`no ${query.get('x')}`);
  }
}

class Count {
  @IsInt() count!: number;
}

@Consumer()
class Echo extends ApiConsumer {
  @Action()
  async fail({ count }: Count) {
    throw new Error(`${count}`);
  }

  @Action()
  async failWith() {
    const { kwargs } = this;
    throw new Error(String(kwargs?.['text']));
  }

  private kwargs: Record<string, unknown> | undefined;

  protected override getActionName(payload: Record<string, unknown>) {
    this.kwargs = { ...payload };
    return super.getActionName(payload);
  }
}

describe('The log', () => {
  const lines: string[] = [];
  let orm: Awaited<ReturnType<typeof offlineOrm>>;
  let served: Served;

  before(async () => {
    orm = await offlineOrm();
    const container = rootContainer.createChildContainer();
    container.registerInstance(Logger, new Logger('debug', (line) => lines.push(line)));
    const routes = [path('/echo/', Echo), path('/fail/:name/', Echo)];
    served = await Served.by(orm, routes, { container, middleware: [Refusing] });
  });
  after(async () => {
    await served[Symbol.asyncDispose]();
    await orm.close();
  });
  beforeEach(() => void lines.splice(0));

  /** Each line is one entry, which is short and holds nothing that anybody obeys. */
  function expectSound(atLeast = 1): void {
    expect(lines.length).to.be.at.least(atLeast);
    for (const line of lines) {
      expect(line.endsWith('\n')).to.equal(true);
      expect(line.slice(0, -1)).not.to.match(obeyed);
      expect(line.length).to.be.below(33_000);
      const entry = JSON.parse(line) as Record<string, unknown>;
      expect(entry['message']).not.to.equal('forged');
    }
  }

  for (const [name, text] of hostile) {
    it(`has one sound line per entry where an action, a kwarg or an error has ${name}`, async () => {
      await using ann = await served.open('/echo/');
      await ask(ann, { action: text, request_id: 1 });
      await ask(ann, { action: 'fail', request_id: 'id', count: 1, [text]: text });
      await ask(ann, { action: 'fail_with', request_id: 'id', text });
      expectSound(3);
    });

    it(`has one sound line per entry where a path or a query has ${name}`, async () => {
      const encoded = encodeURIComponent(text).slice(0, 12_000);
      using raw = await RawClient.open(served.port);
      // A path with a null character leads nowhere.
      const part = encoded.replaceAll('%00', '');
      raw.write(upgradeRequest(`/fail/${part}/?x=${encoded}`.slice(0, 15_000)));
      await raw.hear('500');
      expectSound();
    });
  }

  it('has one sound line per entry where a path has raw bytes beyond ASCII', async () => {
    using raw = await RawClient.open(served.port);
    raw.write(Buffer.from(upgradeRequest('/fail/a\u009b31m\u0085b/?x=\u009b'), 'latin1'));
    await raw.hear('HTTP/1.1');
    await ask(await served.open('/echo/'), { action: 'fail', request_id: 1, count: 2 });
    expectSound();
  });

  it('counts what it cuts', () => {
    const written: string[] = [];
    const logger = new Logger('info', (line) => written.push(line), { text: 10, line: 200, stack: 5 });
    logger.info('hi', { name: 'abcdefghijklm', error: Object.assign(new Error('e'), { stack: 'stacked' }) });
    const { name, error } = JSON.parse(written[0] ?? '');
    expect({ name, error }).to.deep.equal({
      name: 'abcdefghij… (3 more characters)',
      error: { name: 'Error', message: 'e', stack: 'stack… (2 more characters)' },
    });
    logger.warn('hi', { names: Array.from({ length: 100 }, (_, index) => index) });
    const { time, ...rest } = JSON.parse(written[1] ?? '');
    expect(rest).to.deep.equal({ level: 'warn', message: 'hi', cut: '{"names":[… (291 more characters)' });
  });
});
