import { expect } from 'chai';
import { type App, Consumer, List, ModelConsumer, mix, path } from 'signalbox';
import { connect } from 'signalbox/testing';
import { embeddedDatabase } from '../support/embedded-database.js';
import { useServer } from '../support/serving.js';
import { blue, red, trackIssues } from '../support/tracked-issues.js';
import { Issue, IssueSerializer, trackerModels } from '../support/tracker.js';

const filters = {
  fields: {
    state: ['in', 'not'],
    urgent: ['in'],
    points: ['in', 'not'],
    views: ['in'],
    ratio: ['in', 'lte'],
    score: ['in'],
    cost: ['in'],
    closedAt: ['in', 'lt', 'gte'],
    due: ['in'],
    token: ['in'],
    labels: ['in', 'not'],
    'project.team.name': ['in'],
  },
  ordering: ['labels.weight'],
} as const;

@Consumer()
class Issues extends mix(ModelConsumer(Issue, { serializer: IssueSerializer, filters }), List) {}

/** PGlite takes parameters otherwise than a server does. */
describe('Filters on PGlite', () => {
  const database = embeddedDatabase(trackerModels);
  const serve = useServer();
  let app: App;

  before(() => trackIssues(database.orm));
  beforeEach(() => {
    ({ app } = serve([path('/', Issues)], { orm: database.orm }));
  });

  const narrowed: readonly (readonly [object, readonly number[]])[] = [
    [{ state: ['closed'] }, [3]],
    [{ state: { not: ['open', 'closed'] } }, []],
    [{ urgent: [true, false] }, [1, 2]],
    [{ points: [8, 3] }, [1, 2, 3]],
    [{ points: [] }, []],
    [{ points: { not: [3] } }, [1, 4]],
    [{ views: ['9007199254740993'] }, [1]],
    [{ ratio: [0.1] }, [1]],
    [{ ratio: { lte: 0.1 } }, [1]],
    [{ score: [0.1, 1] }, [1]],
    [{ cost: ['12.5'] }, [1]],
    [{ closedAt: ['2026-01-31T12:00:00.500Z'] }, [1]],
    [{ closedAt: { gte: '2026-01-31T12:00:00.500Z', lt: '2026-02-01T00:00:00Z' } }, [1]],
    [{ due: ['2026-02-28'] }, [2]],
    [{ token: [red] }, [1]],
    [{ labels: [red, blue] }, [1, 2]],
    [{ labels: { not: [blue] } }, [3, 4]],
    [{ 'project.team.name': ['north', '{"a"}'] }, [1, 3]],
  ];
  for (const [filter, ids] of narrowed) {
    it(`let ${ids.join(', ') || 'nothing'} through for ${JSON.stringify(filter)}`, async () => {
      await using client = await connect(app, '/');
      const { data } = await client.request('list', { filter });
      expect((data as readonly { readonly id: number }[]).map(({ id }) => id)).to.deep.equal(ids);
    });
  }

  it('order by what relations to many lead to', async () => {
    await using client = await connect(app, '/');
    const { data } = await client.request('list', { ordering: '-labels.weight' });
    expect((data as readonly { readonly id: number }[]).map(({ id }) => id)).to.deep.equal([3, 4, 1, 2]);
  });
});
