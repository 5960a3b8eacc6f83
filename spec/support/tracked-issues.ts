import type { EntityManager } from '@mikro-orm/core';
import { Issue, Label, Note, Project, Team } from './tracker.js';

export const red = '00000000-0000-4000-8000-00000000000a';
export const blue = '00000000-0000-4000-8000-00000000000b';
export const green = '00000000-0000-4000-8000-00000000000c';

/**
 * Two teams, three projects, three labels, four issues: `crash` (project site of north, labels red and blue, a note), `slow` (project app of
 * south, label blue), `typo` (a project without a name, of north), `idea` (nothing).
 */
export async function trackIssues(orm: { readonly em: EntityManager }): Promise<void> {
  const em = orm.em.fork();
  const [north, south] = ['north', 'south'].map((name) => em.create(Team, { name, secret: `of ${name}` }));
  if (!north || !south) throw new Error('The fixture is not there.');
  const labels = [
    em.create(Label, { uuid: red, name: 'Red', weight: 3, owner: north }),
    em.create(Label, { uuid: blue, name: 'blue', weight: 1 }),
    em.create(Label, { uuid: green, name: 'green', weight: 2, owner: south }),
  ] as const;
  const site = em.create(Project, { name: 'site', team: north });
  const app = em.create(Project, { name: 'app', team: south });
  const unnamed = em.create(Project, { team: north });
  site.labels.add(labels[2]);
  const crash = em.create(Issue, {
    title: 'Crash of 100%',
    details: 'it_breaks',
    code: 'a',
    state: 'open',
    urgent: true,
    points: 8,
    views: 9007199254740993n,
    ratio: 0.1,
    score: 0.1,
    cost: '12.50',
    closedAt: new Date('2026-01-31T12:00:00.500Z'),
    due: '2026-01-31',
    alarm: '09:30:00',
    token: red,
    answer: 'forty-two',
    project: site,
  });
  crash.labels.add(labels[0], labels[1]);
  em.create(Note, { text: 'seen twice', issue: crash });
  const slow = em.create(Issue, { title: 'slow crash', points: 3, due: '2026-02-28', urgent: false, project: app });
  slow.labels.add(labels[1]);
  em.create(Issue, { title: 'typo', points: 3, state: 'closed', project: unnamed });
  em.create(Issue, { title: 'idea' });
  await em.flush();
}
