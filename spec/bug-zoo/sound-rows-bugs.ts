import { always } from './faults.js';
import type { Bug } from './plant.js';

/** What a write makes of values that were shown and are sent back. */
export const soundRowsBugs: readonly Bug[] = [
  {
    name: 'an embedded value that is sent back as it was shown writes the row and sends an event',
    story: 'MikroORM compares the JSON, in which fields are missing that are shown as null.',
    plant: { symbol: 'isSameEmbedded', with: always(false) },
    caughtBy: ['serializers/embedded'],
  },
];
