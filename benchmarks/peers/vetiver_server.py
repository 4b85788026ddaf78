"""The model in vetiver: python vetiver_server.py COEFFICIENTS PORT (a JSON array, the intercept first)."""

import json
import sys
from typing import Any

import pandas as pd
import uvicorn
from glm import COLUMNS, pipeline
from vetiver import VetiverAPI, VetiverModel  # type: ignore[import-not-found]
from vetiver.handlers.sklearn import SKLearnHandler  # type: ignore[import-not-found]


class ProbabilityHandler(SKLearnHandler):  # type: ignore[misc]
    """Answers the probability, as plumber does, where vetiver's own handler answers the class."""

    def handler_predict(self, input_data: pd.DataFrame, check_prototype: bool) -> list[Any]:  # noqa: ARG002  vetiver's names
        """The probability of the second class, for each row."""
        return self.model.predict_proba(input_data)[:, 1].tolist()  # type: ignore[no-any-return]


if __name__ == "__main__":
    prototype = pd.DataFrame([[1.0] * len(COLUMNS)], columns=COLUMNS)
    model = VetiverModel(ProbabilityHandler(pipeline(json.loads(sys.argv[1])), prototype), "glm", prototype_data=prototype)
    uvicorn.run(VetiverAPI(model).app, port=int(sys.argv[2]), log_config=None, access_log=False)
