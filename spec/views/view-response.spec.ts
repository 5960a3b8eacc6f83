import { expect } from 'chai';
import { ViewFailed } from 'signalbox';
import { fromResponse } from '#signalbox/views/view-response.js';

async function errorsOf(body: unknown): Promise<unknown> {
  const failed = await fromResponse(Response.json(body, { status: 422 })).catch((error: unknown) => error);
  expect(failed).to.be.instanceOf(ViewFailed).and.to.include({ status: 422, code: 'view_failed' });
  return (failed as ViewFailed).errors;
}

describe('fromResponse', () => {
  it('reads JSON of any kind, text, and bytes', async () => {
    const problem = { headers: { 'content-type': 'application/problem+json; charset=utf-8' } };
    expect(await fromResponse(new Response('{"a":1}', problem))).to.deep.equal({ status: 200, data: { a: 1 } });
    expect(await fromResponse(new Response('{"a":1}'))).to.deep.equal({ status: 200, data: '{"a":1}' });
    const image = { headers: { 'content-type': 'image/png' } };
    expect(await fromResponse(new Response('ab', image))).to.deep.equal({ status: 200, data: '6162' });
    expect(await fromResponse(new Response(null, { status: 304 }))).to.deep.equal({ status: 304, data: null });
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
    const failed = await fromResponse(new Response(null, { status: 403 })).catch((error: unknown) => error);
    expect(failed).to.deep.include({ errors: ['The view refused the request.'] });
  });
});
