import { expect } from 'chai';
import { truncate } from 'signalbox/testing';
import { type Chat, createChat } from '../../src/chat.js';
import { bundledPages } from '../support/bundled-pages.js';
import { sharedDatabase, TIME_TO_OPEN } from '../support/database.js';
import { unique } from '../support/unique.js';

describe('pages over HTTP', () => {
  let chat: Chat;

  before(async function () {
    this.timeout(TIME_TO_OPEN);
    await bundledPages();
    chat = await createChat((await sharedDatabase()).orm);
  });
  after(() => chat.close());

  const get = (url: string, headers: Record<string, string> = {}) => chat.http.inject({ url, headers });

  it('begin with sign-up where there are no users', async () => {
    await truncate((await sharedDatabase()).orm);
    expect((await get('/')).headers.location).to.equal('/sign-up?first');
  });

  it('lead a visitor that is not logged in to the log-in page, and back afterwards', async () => {
    const payload = { username: unique('ada'), password: 'correct horse battery' };
    await chat.http.inject({ method: 'POST', url: '/api/sign-up', payload });
    expect((await get('/')).headers.location).to.equal('/log-in');
    expect((await get('/rooms/7')).headers.location).to.equal('/log-in?next=/rooms/7');
  });

  it('allow nothing inline and nothing from elsewhere', async () => {
    const { headers, body } = await get('/log-in');
    expect(headers['content-security-policy']).to.include("default-src 'none'").and.not.include('unsafe');
    expect(body).not.to.match(/<style|style="|<script(?![^>]* src="\/page\/)|\son[a-z]+="|https?:/);
  });

  it('serve scripts, styles and pictures, and nothing else of the folder', async () => {
    for (const path of ['/page/room.js', '/page/base.css', '/page/signal.svg']) {
      expect((await get(path)).statusCode, path).to.equal(200);
    }
    for (const path of ['/page/room.ts', '/page/tsconfig.json', '/page/room.html', '/page/../package.json']) {
      expect((await get(path)).statusCode, path).to.equal(404);
    }
  });

  it('say so where there is none', async () => {
    const page = await get('/nowhere', { accept: 'text/html' });
    expect(page.statusCode).to.equal(404);
    expect(page.body).to.include('There is no such page');
    expect((await get('/api/nowhere')).json()).to.deep.equal({ errors: ['Not found.'], code: 'not_found' });
  });
});
