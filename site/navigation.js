/**
 * The pages of docs/ in the order in which a reader needs them. A page that stands nowhere here has no way to it, so a spec refuses one.
 * Decisions and the reference are listed by themselves.
 */
export const navigation = [
  {
    text: 'First steps',
    items: [
      ['quick-start', 'Quick start'],
      ['tutorial', 'Tutorial: an issue tracker'],
      ['chat', 'The chat of the sample app'],
      ['troubleshooting', 'When something does not work'],
      ['coming-from-dcrf', 'Coming from DCRF'],
      ['feature-table', 'Feature table'],
    ],
  },
  {
    text: 'The server',
    items: [
      ['consumers', 'Consumers'],
      ['serializers', 'Serializers'],
      ['crud', 'Create, read, update, delete'],
      ['lists', 'Lists'],
      ['column-types', 'Column types'],
      ['observers', 'Observers'],
      ['permissions', 'Permissions'],
      ['authentication', 'Authentication'],
      ['settings', 'Settings'],
      ['limits', 'Limits'],
      ['testing', 'Testing'],
    ],
  },
  {
    text: 'The client',
    items: [
      ['client', 'The client'],
      ['react', 'React'],
      ['types', 'Types'],
      ['api-types', 'Types for another repository'],
      ['dcrf-client', 'dcrf-client'],
    ],
  },
  {
    text: 'How to',
    items: [
      ['how-to/deploy', 'Deploy behind nginx'],
      ['how-to/docker', 'Run in Docker'],
      ['how-to/several-processes', 'Several processes'],
      ['how-to/migrations', 'Change the database'],
      ['how-to/http-servers', 'Beside Express, Fastify, Hono, Nest'],
      ['how-to/vite', 'A page from Vite'],
      ['how-to/uploads', 'Take uploads'],
    ],
  },
  {
    text: 'Tools',
    items: [
      ['cli', 'The command line'],
      ['explorer', 'The explorer'],
      ['asyncapi', 'AsyncAPI and contracts'],
    ],
  },
  {
    text: 'Reference',
    items: [
      ['protocol', 'The protocol'],
      ['errors', 'Errors'],
      ['guarantees', 'Guarantees'],
      ['operations', 'Operations'],
      ['walks', 'The two walks'],
    ],
  },
];
