/** The package managers that an application can use, and their differences. */
export const packageManagers = {
  npm: { install: ['npm', 'install', '--no-audit', '--no-fund'], run: 'npm run', lockFile: 'package-lock.json' },
  pnpm: { install: ['pnpm', 'install'], run: 'pnpm', lockFile: 'pnpm-lock.yaml' },
  yarn: { install: ['yarn', 'install'], run: 'yarn', lockFile: 'yarn.lock' },
  bun: { install: ['bun', 'install'], run: 'bun run', lockFile: 'bun.lock' },
} as const;

export type PackageManager = keyof typeof packageManagers;

export const packageManagerNames = Object.keys(packageManagers) as readonly PackageManager[];

/** The package manager that runs this process. Each one names itself in the environment: `pnpm/10.1.0 npm/? node/v24.0.0 linux x64`. */
export function detectedPackageManager(env: NodeJS.ProcessEnv): PackageManager {
  const [name] = (env['npm_config_user_agent'] ?? '').split('/');
  return packageManagerNames.find((known) => known === name) ?? 'npm';
}

/** How the image of an application installs and prunes its packages, and the files that it needs for that, besides the lock file. */
interface ImageSteps {
  readonly install: string;
  readonly prune: string;
  readonly settings?: string;
}

const inImage: Readonly<Record<PackageManager, ImageSteps>> = {
  npm: { install: 'npm ci', prune: 'npm prune --omit=dev' },
  pnpm: {
    install: 'npm install --global pnpm && pnpm install --frozen-lockfile',
    prune: 'CI=true pnpm prune --prod',
    settings: 'pnpm-workspace.yaml',
  },
  yarn: {
    // The image has Yarn 1, under the same command.
    install: 'npm install --global --force @yarnpkg/cli-dist && yarn install --immutable',
    prune: 'yarn workspaces focus --production',
    settings: '.yarnrc.yml',
  },
  bun: {
    install: 'npm install --global bun && bun install --frozen-lockfile',
    prune: 'rm -rf node_modules && bun install --frozen-lockfile --production',
  },
};

export function dockerfile(manager: PackageManager): string {
  const { install, prune, settings } = inImage[manager];
  const { run, lockFile } = packageManagers[manager];
  const copied = ['package.json', lockFile, ...(settings ? [settings] : [])].join(' ');
  return `# docker build -t app . && docker run -p 8000:8000 -v app-data:/app/data app
FROM node:24-slim AS build
WORKDIR /app
COPY ${copied} ./
RUN ${install}
COPY . .
RUN ${run} build && ${prune}

FROM node:24-slim
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8000
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY --from=build /app/page ./page
# For the embedded database. With DATABASE_URL it stays empty.
RUN mkdir data && chown node:node data
VOLUME /app/data
USER node
EXPOSE 8000
HEALTHCHECK --start-period=20s CMD ["node", "-e", "fetch('http://localhost:8000/readyz').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "--enable-source-maps", "dist/src/main.js"]
`;
}
