import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// The server's content security policy has no 'unsafe-inline' and no data: fonts, so nothing may be inlined.
export default defineConfig({
  plugins: [react()],
  base: "/",
  build: {
    outDir: "../src/hanmaru/web",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1500,
    rolldownOptions: {
      // A room's pages are modules of this build, where the hub serves a service's files: /services/<room>/page.js.
      input: { index: "index.html", trace: "src/trace/page.ts", ride: "src/ride/page.ts", care: "src/care/page.ts", centre: "src/centre/page.ts" },
      preserveEntrySignatures: "exports-only",
      output: { entryFileNames: ({ name }) => (name === "index" ? "assets/[name]-[hash].js" : `services/${name}/page.js`) },
    },
  },
  server: { proxy: { "/api": "http://127.0.0.1:8000", "/services": "http://127.0.0.1:8000" } },
});
