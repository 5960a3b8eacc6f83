let known: string | undefined;

// Only `npm run dev` adds this to the pages: src/http/live-pages.ts explains why, and when the version changes.
new EventSource('/dev/version').addEventListener('message', ({ data }) => {
  known ??= data;
  if (data !== known) location.reload();
});
