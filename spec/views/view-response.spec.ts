import { expect } from 'chai';
import { ViewFailed } from 'signalbox';
import { fromResponse } from '#signalbox/views/view-response.js';

const limit = 1_000;

const read = (response: Response) => fromResponse(response, limit);

async function failureOf(response: Response): Promise<ViewFailed> {
  const failed = await read(response).catch((error: unknown) => error);
  expect(failed).to.be.instanceOf(ViewFailed).and.to.include({ code: 'view_failed' });
  return failed as ViewFailed;
}

async function errorsOf(body: unknown): Promise<unknown> {
  const { status, errors } = await failureOf(Response.json(body, { status: 422 }));
  expect(status).to.equal(422);
  return errors;
}

/** Each with its content type, its bytes and what clients are shown. */
const answers: readonly [string | undefined, string | Uint8Array<ArrayBuffer>, unknown][] = [
  ['application/json', '{"a":1}', { a: 1 }],
  ['application/problem+json; charset=utf-8', '{"a":1}', { a: 1 }],
  ['application/json', '{"a":', '{"a":'],
  ['application/json', '\ufeff{"a":1}', { a: 1 }],
  ['text/plain', '{"a":1}', '{"a":1}'],
  ['TEXT/HTML', '<b>grün</b>', '<b>grün</b>'],
  ['text/plain; charset=iso-8859-1', new Uint8Array([0x67, 0x72, 0xfc, 0x6e]), 'grün'],
  ['text/plain;charset="utf-16le"', new Uint8Array([0x61, 0x00, 0xfc, 0x00]), 'aü'],
  ['text/plain', new Uint8Array([0x61, 0xff]), 'a\ufffd'],
  ['text/plain; charset=martian', 'ab', '6162'],
  ['application/xml', '<a/>', '<a/>'],
  ['image/svg+xml', '<svg/>', '<svg/>'],
  ['application/x-www-form-urlencoded', 'a=1&b=2', 'a=1&b=2'],
  ['image/png', 'ab', '6162'],
  ['application/octet-stream', '{"a":1}', '7b2261223a317d'],
  ['application/vnd.ms-excel', 'ab', '6162'],
  ['no type at all', 'ab', '6162'],
  [undefined, new Uint8Array([0x61, 0x62]), '6162'],
  [undefined, '', null],
];

describe('fromResponse', () => {
  for (const [type, body, shown] of answers) {
    it(`shows ${JSON.stringify(body)} of the type ${type} as ${JSON.stringify(shown)}`, async () => {
      const headers = type === undefined ? [] : [['content-type', type] as [string, string]];
      const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body;
      expect(await read(new Response(bytes, { headers, status: 203 }))).to.deep.equal({ status: 203, data: shown });
    });
  }

  it('has 200 for a part of a file, because clients would wait for the rest of a 206', async () => {
    expect(await read(new Response('a', { status: 206 }))).to.deep.equal({ status: 200, data: 'a' });
  });

  it('has null where there is no body', async () => {
    expect(await read(new Response(null, { status: 304 }))).to.deep.equal({ status: 304, data: null });
  });

  it('keeps the status of an error whose JSON is malformed', async () => {
    const headers = { 'content-type': 'application/json' };
    const failed = await failureOf(new Response('<h1>Bad gateway</h1>', { status: 502, headers }));
    expect(failed).to.deep.include({ status: 502, errors: ['<h1>Bad gateway</h1>'] });
  });

  it('refuses an answer above the limit without reading on, and keeps the status of an error', async () => {
    const text = ['The answer of the view is larger than 1000 bytes.'];
    let chunks = 0;
    const endless = () =>
      new ReadableStream({ pull: (stream) => stream.enqueue(new Uint8Array(400).fill(0x61 + chunks++)) });
    const headers = { 'content-type': 'text/plain' };
    expect(await failureOf(new Response(endless(), { headers }))).to.deep.include({ status: 500, errors: text });
    expect(chunks).to.be.at.most(5);
    const refused = new Response(endless(), { headers, status: 404 });
    expect(await failureOf(refused)).to.deep.include({ status: 404, errors: text });
    const exactly = new Response('a'.repeat(1_000), { headers });
    expect(await read(exactly)).to.deep.equal({ status: 200, data: 'a'.repeat(1_000) });
  });

  it('tells the errors of usual frameworks', async () => {
    expect(await errorsOf('no')).to.deep.equal(['no']);
    expect(await errorsOf({ detail: 'no' })).to.deep.equal(['no']);
    expect(await errorsOf({ statusCode: 422, error: 'Unprocessable', message: 'no' })).to.deep.equal(['no']);
    expect(await errorsOf({ name: ['no', 'never'] })).to.deep.equal([{ name: ['no', 'never'] }]);
    expect(await errorsOf(['no', { name: ['never'] }])).to.deep.equal(['no', { name: ['never'] }]);
    expect(await errorsOf({ error: 'no', at: 3 })).to.deep.equal(['no']);
    expect(await errorsOf({ at: 3 })).to.deep.equal(['{"at":3}']);
  });

  it('has a sentence where the answer has none', async () => {
    expect(await failureOf(new Response(null, { status: 403 }))).to.deep.include({
      errors: ['The view refused the request.'],
    });
  });
});
