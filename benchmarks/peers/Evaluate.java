// JPMML-Evaluator on files of PMML, for ../translators.py, which says what is needed:
//
//     java -cp 'JARS/*' Evaluate.java
//
// Each line of its input names a PMML file, a table of rows and a file for the answers, separated by tabs. It answers with the
// median time of one row in microseconds, or with "error" and the reason. The first column of the answers is the target's value,
// the others are the probabilities of its categories; a value that there is not is \N, so is that of a row that is refused.

import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.jpmml.evaluator.Computable;
import org.jpmml.evaluator.Evaluator;
import org.jpmml.evaluator.FieldValue;
import org.jpmml.evaluator.HasProbability;
import org.jpmml.evaluator.InputField;
import org.jpmml.evaluator.LoadingModelEvaluatorBuilder;

public class Evaluate {

    private static final String MISSING = "\\N";
    // Where the package pmml puts the prediction, if its target's value is on another scale.
    private static final List<String> RESCALED =
            List.of("GaussianPrediction", "BernoulliResponsePrediction", "svm_predict_function");
    private static final long HALF_A_SECOND = 500_000_000L;

    public static void main(String[] arguments) throws Exception {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = input.readLine()) != null; ) {
            String[] paths = line.split("\t");
            try {
                System.out.println(evaluate(new File(paths[0]), Path.of(paths[1]), Path.of(paths[2])));
            } catch (Exception | StackOverflowError error) {
                System.out.println("error\t" + String.valueOf(error).replaceAll("\\s+", " "));
            }
            System.out.flush();
        }
    }

    private static double evaluate(File pmml, Path rows, Path answers) throws Exception {
        Evaluator evaluator = new LoadingModelEvaluatorBuilder().load(pmml).build();
        evaluator.verify();
        List<String> lines = Files.readAllLines(rows, StandardCharsets.UTF_8);
        List<String> names = Arrays.asList(lines.get(0).split("\t", -1));
        List<Map<String, FieldValue>> answered = new ArrayList<>();
        List<Map<String, String>> results = new ArrayList<>();
        TreeSet<String> categories = new TreeSet<>();
        for (String line : lines.subList(1, lines.size())) {
            Map<String, String> result = new LinkedHashMap<>();
            try {
                Map<String, FieldValue> row = prepared(evaluator, names, line.split("\t", -1));
                result = answer(evaluator, row);
                answered.add(row);
            } catch (org.jpmml.evaluator.EvaluationException refused) {
                result.clear();
            }
            categories.addAll(result.keySet());
            results.add(result);
        }
        categories.remove("");
        try (PrintWriter writer = new PrintWriter(answers.toFile(), StandardCharsets.UTF_8)) {
            writer.println(categories.isEmpty() ? "value" : "value\t" + String.join("\t", categories));
            for (Map<String, String> result : results) {
                writer.print(result.getOrDefault("", MISSING));
                for (String category : categories) {
                    writer.print("\t" + result.getOrDefault(category, MISSING));
                }
                writer.println();
            }
        }
        if (answered.isEmpty()) {
            throw new IllegalArgumentException("no row is answered");
        }
        measure(evaluator, answered.get(0));  // so that it is compiled
        return measure(evaluator, answered.get(0));
    }

    private static Map<String, FieldValue> prepared(Evaluator evaluator, List<String> names, String[] cells) {
        Map<String, FieldValue> row = new LinkedHashMap<>();
        for (InputField field : evaluator.getInputFields()) {
            int column = names.indexOf(field.getName());
            if (column < 0) {
                throw new IllegalArgumentException("it asks for " + field.getName() + ", which R does not");
            }
            row.put(field.getName(), field.prepare(cells[column].equals(MISSING) ? null : cells[column]));
        }
        return row;
    }

    // The target's value under "", each category's probability under its name.
    private static Map<String, String> answer(Evaluator evaluator, Map<String, FieldValue> row) {
        Map<String, ?> found = evaluator.evaluate(row);
        Object target = found.get(evaluator.getTargetFields().get(0).getName());
        Map<String, String> result = new LinkedHashMap<>();
        if (target instanceof HasProbability) {
            for (Object category : ((HasProbability) target).getCategories()) {
                result.put(category.toString(), ((HasProbability) target).getProbability(category).toString());
            }
        }
        Object value = target instanceof Computable ? ((Computable) target).getResult() : target;
        for (String name : RESCALED) {
            value = found.containsKey(name) ? found.get(name) : value;
        }
        if (value != null) {
            result.put("", value.toString());
        }
        return result;
    }

    private static double measure(Evaluator evaluator, Map<String, FieldValue> row) {
        List<Long> times = new ArrayList<>();
        long end = System.nanoTime() + HALF_A_SECOND;
        for (long started; (started = System.nanoTime()) < end; ) {
            evaluator.evaluate(row);
            times.add(System.nanoTime() - started);
        }
        times.sort(null);
        return times.get(times.size() / 2) / 1000.0;
    }
}
