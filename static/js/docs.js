"use strict";

window.addEventListener("load", () => {
  window.SwaggerUIBundle({ url: "/openapi.json", dom_id: "#swagger", deepLinking: true, validatorUrl: null, tryItOutEnabled: true, persistAuthorization: false });
});
