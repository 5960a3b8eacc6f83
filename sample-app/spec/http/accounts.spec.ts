import { expect } from 'chai';
import type { LightMyRequestResponse } from 'fastify';
import { connect, TestClock } from 'signalbox/testing';
import { type Chat, createChat } from '../../src/chat.js';
import { sharedDatabase, TIME_TO_OPEN } from '../support/database.js';
import { unique } from '../support/unique.js';

const own = { host: 'chat.example', origin: 'http://chat.example' };
const password = 'correct horse battery';
const HOUR = 60 * 60 * 1000;

describe('accounts over HTTP', () => {
  const clock = new TestClock();
  let chat: Chat;

  before(async function () {
    this.timeout(TIME_TO_OPEN);
    const { orm } = await sharedDatabase();
    const passwordCost = { memoryCost: 8, timeCost: 1, parallelism: 1 };
    chat = await createChat(orm, { clock, passwordCost, settings: { trustedProxies: ['127.0.0.1'] } });
  });
  // An hour is longer than the app remembers attempts.
  beforeEach(() => clock.advance(HOUR));
  after(() => chat.close());

  function post(url: string, payload: object, headers: Record<string, string> = {}): Promise<LightMyRequestResponse> {
    return chat.http.inject({ method: 'POST', url, payload, headers });
  }

  async function signUp(username = unique('ada')): Promise<{ username: string; cookie: string }> {
    const response = await post('/api/sign-up', { username, password });
    expect(response.statusCode).to.equal(201);
    return { username, cookie: cookieOf(response) };
  }

  const socketOf = (cookie: string) => connect(chat.app, '/ws/chat/', { headers: { ...own, cookie } });
  const me = (cookie: string) => chat.http.inject({ url: '/api/me', headers: { cookie } });

  it('sign-up makes an account and logs it in', async () => {
    const { username, cookie } = await signUp();
    expect((await me(cookie)).json()).to.include({ username });
  });

  it('the cookie is for this site and HTTP only, and for TLS where a trusted proxy says that there is TLS', async () => {
    const overHttp = await post('/api/sign-up', { username: unique('ada'), password });
    const [cookie] = overHttp.cookies;
    expect(cookie).to.include({ name: 'session', path: '/', httpOnly: true, sameSite: 'Lax' });
    expect(cookie).not.to.have.property('secure');

    const behindTls = { 'x-forwarded-proto': 'https' };
    const overTls = await post('/api/sign-up', { username: unique('ada'), password }, behindTls);
    expect(overTls.cookies[0]).to.include({ secure: true });

    const untrusted = {
      method: 'POST',
      url: '/api/sign-up',
      remoteAddress: '203.0.113.9',
      headers: behindTls,
    } as const;
    const lied = await chat.http.inject({ ...untrusted, payload: { username: unique('ada'), password } });
    expect(lied.cookies[0]).not.to.have.property('secure');
  });

  it('log-in takes the right password', async () => {
    const { username } = await signUp();
    const response = await post('/api/log-in', { username, password });
    expect(response.statusCode).to.equal(200);
    expect((await me(cookieOf(response))).json()).to.include({ username });
  });

  it('log-in tells an unknown user and a wrong password apart neither by answer nor by status', async () => {
    const { username } = await signUp();
    const wrong = await post('/api/log-in', { username, password: 'something else' });
    const unknown = await post('/api/log-in', { username: unique('nobody'), password });
    expect(wrong.statusCode).to.equal(401);
    expect(wrong.json()).to.deep.equal({
      errors: ['The user name or the password is wrong.'],
      code: 'wrong_credentials',
    });
    expect([unknown.statusCode, unknown.body]).to.deep.equal([wrong.statusCode, wrong.body]);
  });

  const from = (address: string) => ({ 'x-forwarded-for': address });

  it('log-in takes ten guesses at an account at once, then one a minute, wherever they come from', async () => {
    const { username } = await signUp();
    const guess = (each: number) =>
      post('/api/log-in', { username, password: `guess ${each}` }, from(`203.0.113.${each}`));
    const guesses = await Promise.all(Array.from({ length: 12 }, (_, each) => guess(each)));
    const told = (status: number) => guesses.filter(({ statusCode }) => statusCode === status);
    expect([told(401).length, told(429).length]).to.deep.equal([10, 2]);
    expect(told(429)[0]?.headers).to.include({ 'retry-after': '60' });
    expect(told(429)[0]?.json()).to.deep.equal({
      errors: ['Too many attempts to log in. Try again in 60 seconds.'],
      code: 'throttled',
    });
    expect((await post('/api/log-in', { username, password })).statusCode).to.equal(429);
    clock.advance(60_000);
    expect((await post('/api/log-in', { username, password })).statusCode).to.equal(200);
  });

  it('log-in and sign-up take thirty attempts of an address at once, then one in ten seconds', async () => {
    const attempts: Readonly<Record<string, [number, () => object]>> = {
      '/api/log-in': [401, () => ({ username: unique('nobody'), password })],
      '/api/sign-up': [400, () => ({ username: taken, password })],
    };
    const { username: taken } = await signUp();
    for (const [path, [status, body]] of Object.entries(attempts)) {
      const send = (address: string) => post(path, body(), from(address));
      // The addresses of one IPv6 network belong to one user.
      const answers = await Promise.all(Array.from({ length: 31 }, (_, each) => send(`2001:db8:0:7::${each}`)));
      const statuses = answers.map(({ statusCode }) => statusCode);
      expect(statuses.filter((each) => each === status)).to.have.length(30);
      expect(statuses.filter((each) => each === 429)).to.have.length(1);
      expect((await send('203.0.113.7')).statusCode).to.equal(status);
      clock.advance(10_000);
      expect((await send('2001:db8:0:7::1')).statusCode).to.equal(status);
    }
  }).timeout(30_000);

  it('log-out ends the session, not only the cookie', async () => {
    const { cookie } = await signUp();
    expect((await post('/api/log-out', {}, { cookie })).statusCode).to.equal(204);
    expect((await me(cookie)).statusCode).to.equal(401);
  });

  it('log-out closes the sockets of the session, and those of no other', async () => {
    const { username, cookie } = await signUp();
    const elsewhere = cookieOf(await post('/api/log-in', { username, password }));
    const [first, second, other] = [await socketOf(cookie), await socketOf(cookie), await socketOf(elsewhere)];
    await post('/api/log-out', {}, { cookie });
    expect(await Promise.all([first.closed, second.closed])).to.deep.equal([4401, 4401]);
    expect(await socketOf(cookie).catch(({ status }) => status)).to.equal(401);
    expect(await other.channel('chat').request('list')).to.include({ response_status: 200 });
    other.close();
  });

  it('log-in as another user closes the sockets that the browser had before', async () => {
    const { cookie } = await signUp();
    const { username } = await signUp();
    const socket = await socketOf(cookie);
    await post('/api/log-in', { username, password }, { cookie });
    expect(await socket.closed).to.equal(4401);
  });

  it('a session that is over opens no socket', async () => {
    const { cookie } = await signUp();
    clock.advance(14 * 24 * 60 * 60 * 1000);
    expect((await me(cookie)).statusCode).to.equal(401);
    expect(await socketOf(cookie).catch(({ status }) => status)).to.equal(401);
  });

  it('log-in ends the session that the browser had before', async () => {
    const { username, cookie } = await signUp();
    await post('/api/log-in', { username, password }, { cookie });
    expect((await me(cookie)).statusCode).to.equal(401);
  });

  it('a user name is taken once, in whatever way Unicode spells it', async () => {
    const { username } = await signUp(`${unique('ada')}-\u212B`);
    const response = await post('/api/sign-up', { username: username.replace('\u212B', '\u00C5'), password });
    expect(response.statusCode).to.equal(400);
    expect(response.json().errors).to.deep.equal([{ username: ['This user name is taken.'] }]);
  });

  const refused: Readonly<Record<string, [object, string]>> = {
    'no user name': [{ password }, 'username'],
    'an empty user name': [{ username: '', password }, 'username'],
    'a user name with spaces': [{ username: 'ada l', password }, 'username'],
    'a user name of 151 characters': [{ username: 'a'.repeat(151), password }, 'username'],
    'a short password': [{ username: 'ada', password: '1234567' }, 'password'],
    'a password of 257 characters': [{ username: 'ada', password: 'a'.repeat(257) }, 'password'],
    'a password that is no text': [{ username: 'ada', password: { length: 9 } }, 'password'],
  };
  for (const [name, [body, field]] of Object.entries(refused)) {
    it(`sign-up refuses ${name}`, async () => {
      const response = await post('/api/sign-up', body);
      expect(response.statusCode).to.equal(400);
      expect(Object.keys(response.json().errors[0])).to.deep.equal([field]);
    });
  }

  it('a body that is no JSON, no object or too large is refused', async () => {
    const headers = { 'content-type': 'application/json' };
    const send = (payload: string) => chat.http.inject({ method: 'POST', url: '/api/log-in', payload, headers });
    expect((await send('{')).statusCode).to.equal(400);
    expect((await send('[]')).statusCode).to.equal(400);
    expect((await send(JSON.stringify({ username: 'a'.repeat(5000) }))).statusCode).to.equal(413);
  });

  it('a request from another site is refused', async () => {
    const body = { username: unique('ada'), password };
    const foreign = await post('/api/sign-up', body, { 'sec-fetch-site': 'cross-site' });
    const byOrigin = await post('/api/sign-up', body, { origin: 'https://evil.example', host: 'chat.example' });
    const own = await post('/api/sign-up', body, { origin: 'https://chat.example', host: 'chat.example' });
    expect([foreign.statusCode, byOrigin.statusCode, own.statusCode]).to.deep.equal([403, 403, 201]);
  });
});

function cookieOf(response: LightMyRequestResponse): string {
  const [cookie] = response.cookies;
  return `${cookie?.name}=${cookie?.value}`;
}
